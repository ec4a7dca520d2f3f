/**
 * Files of a comparison: the HTML report, and each chart as SVG and PNG.
 */
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Chart, drawChart, filePaint } from '../../../compare/chart.ts'
import { htmlReport } from '../../../compare/html-report.ts'
import { UsageError } from '../../../errors.ts'
import { reportCharts } from './compare-charts.ts'
import { type ComparisonReport, reportFacts, reportTables } from './compare-report.ts'

export interface ReportFileFlags {
  readonly html?: string
  readonly charts?: string
  readonly font?: string
}

/** Pixels for each of a chart's units: sharp on a phone, 1,080 wide. */
const PNG_ZOOM = 3

/** The part of @resvg/resvg-js that is used. */
interface Resvg {
  readonly Resvg: new (svg: string, options: object) => { render(): { asPng(): Uint8Array } }
}

/**
 * Fails before anything is measured if files could not be written afterwards.
 *
 * @throws UsageError
 */
export async function checkReportFiles({ charts, font }: ReportFileFlags): Promise<void> {
  if (font !== undefined && !(await stat(font).catch(() => undefined))?.isFile()) {
    throw new UsageError(`Expected a font file (.ttf or .otf) at ${font}, but there is none.`)
  }
  if (charts !== undefined) await loadResvg()
}

/** @returns the paths that were written */
export async function writeReportFiles(
  report: ComparisonReport,
  { html, charts, font }: ReportFileFlags,
): Promise<string[]> {
  const drawn = reportCharts(report)
  const written: string[] = []
  if (html !== undefined) {
    await writeFile(html, page(report, drawn))
    written.push(html)
  }
  if (charts !== undefined) {
    const { Resvg } = await loadResvg()
    await mkdir(charts, { recursive: true })
    for (const chart of drawn) {
      const svg = drawChart(chart, filePaint, true)
      const path = join(charts, chart.id)
      const png = new Resvg(svg, pngOptions(font)).render().asPng()
      await writeFile(`${path}.svg`, svg)
      await writeFile(`${path}.png`, png)
      written.push(`${path}.svg`, `${path}.png`)
    }
  }
  return written
}

function page(report: ComparisonReport, charts: readonly Chart[]): string {
  return htmlReport({
    title: { en: 'Models side by side on this machine', ja: 'このマシンでのモデル比較' },
    lead: {
      en:
        'Models or precisions, measured in turns on one machine by bitnet compare. Energy is measured ' +
        'only where a table says so.',
      ja:
        'bitnet compareが、複数のモデルまたは精度を、1台のマシンで交互に測った結果です。' +
        'エネルギーは、実測と書かれたもの以外は推定値です。',
    },
    facts: reportFacts(report),
    charts,
    tables: reportTables(report),
  })
}

/** Without --font, the fonts of this system; any that has Latin letters will do. */
function pngOptions(font: string | undefined): object {
  return {
    fitTo: { mode: 'zoom', value: PNG_ZOOM },
    font: {
      loadSystemFonts: font === undefined,
      ...(font === undefined ? {} : { fontFiles: [font] }),
    },
  }
}

/** An optional dependency: only PNG files need it. */
async function loadResvg(): Promise<Resvg> {
  const name = '@resvg/resvg-js'
  try {
    return (await import(name)) as Resvg
  } catch {
    throw new UsageError(
      `Expected the package ${name} for --charts, which writes PNG files, but it is not ` +
        `installed. Run: npm install ${name}`,
    )
  }
}
