/**
 * Files of a comparison: the HTML report, and each chart as SVG and PNG.
 */
import { dirname, join } from 'node:path'
import { type Chart, drawChart, filePaint } from '../../../compare/chart.ts'
import { htmlReport } from '../../../compare/html-report.ts'
import { UsageError } from '../../../errors.ts'
import { makeFolder, requireWritable, statOf } from '../../../node/files/system.ts'
import { requirePlace, writeWhole } from '../../../node/files/write-file.ts'
import type { Language } from '../../console/language.ts'
import { reportCharts } from './compare-charts.ts'
import { headlineOf } from './compare-headline.ts'
import { type ComparisonReport, reportFacts } from './compare-report.ts'
import { reportTables } from './compare-tables.ts'

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
 * @throws UsageError, or the system's error
 */
export async function checkReportFiles({ html, charts, font }: ReportFileFlags): Promise<void> {
  if (html !== undefined) {
    const [folder, file] = await Promise.all([statOf(dirname(html)), statOf(html)])
    if (folder?.isDirectory() !== true || file?.isFile() === false) {
      throw new UsageError(`Expected --html to name a file in a folder that is there, got ${html}.`)
    }
    await requirePlace(html)
  }
  if (font !== undefined && (await statOf(font))?.isFile() !== true) {
    throw new UsageError(`Expected a font file (.ttf or .otf) at ${font}, but there is none.`)
  }
  if (charts !== undefined) {
    await loadResvg()
    await makeFolder(charts)
    await requireWritable(charts)
  }
}

/** @returns the paths that were written */
export async function writeReportFiles(
  report: ComparisonReport,
  { html, charts, font }: ReportFileFlags,
  language: Language,
): Promise<string[]> {
  const drawn = reportCharts(report)
  const written: string[] = []
  if (html !== undefined) {
    await writeWhole(html, page(report, drawn, language))
    written.push(html)
  }
  if (charts !== undefined) {
    const { Resvg } = await loadResvg()
    for (const chart of drawn) {
      const svg = drawChart(chart, filePaint, { withTitle: true })
      const path = join(charts, chart.id)
      const png = new Resvg(svg, pngOptions(font)).render().asPng()
      await writeWhole(`${path}.svg`, svg)
      await writeWhole(`${path}.png`, png)
      written.push(`${path}.svg`, `${path}.png`)
    }
  }
  return written
}

const TITLE = { en: 'Models side by side on this machine', ja: 'このマシンでのモデル比較' }

function page(report: ComparisonReport, charts: readonly Chart[], language: Language): string {
  return htmlReport({
    language,
    title: headlineOf(report.groups) ?? TITLE,
    lead: {
      en:
        'Models or precisions, measured in turns on one machine by bitnet compare. Energy is measured ' +
        'only where a table says so.',
      ja:
        'bitnet compareが、複数のモデルまたは精度を、1台のマシンで交互に測った結果です。' +
        'エネルギーは、実測と書かれたもの以外は推定値です。',
    },
    facts: reportFacts(report, language),
    charts,
    tables: reportTables(report, language),
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
