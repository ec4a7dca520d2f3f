/**
 * A comparison as one HTML file: charts, tables and what ran, in English and Japanese. It needs no
 * script, loads nothing, fits a phone and follows the reader's choice of light or dark.
 */
import {
  type Bilingual,
  type Chart,
  drawChart,
  escapeXml,
  type Paint,
  SERIES_COLOURS,
} from './chart.ts'

export interface ReportTable {
  readonly title: Bilingual
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export interface HtmlReport {
  readonly title: Bilingual
  /** What it is and how it is to be read. */
  readonly lead: Bilingual
  /** Machine, backend, lengths. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  readonly charts: readonly Chart[]
  readonly tables: readonly ReportTable[]
}

const pagePaint: Paint = (ink) => `var(--${ink})`

export function htmlReport({ title, lead, facts, charts, tables }: HtmlReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeXml(title.en)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeXml(title.en)} ${japanese(title)}</h1>
<p>${escapeXml(lead.en)}</p>
<p lang="ja">${escapeXml(lead.ja)}</p>
<dl>
${facts.map(([name, value]) => `<dt>${escapeXml(name)}</dt><dd>${escapeXml(value)}</dd>`).join('\n')}
</dl>
${charts.map(figure).join('\n')}
${tables.map(section).join('\n')}
</main>
</body>
</html>
`
}

function figure(chart: Chart): string {
  return `<section>
<h2>${escapeXml(chart.title.en)} ${japanese(chart.title)}</h2>
<figure>${drawChart(chart, pagePaint, false)}
<figcaption>${escapeXml(chart.note.en)} ${japanese(chart.note)}</figcaption></figure>
</section>`
}

function section({ title, header, rows }: ReportTable): string {
  const cells = (tag: string, row: readonly string[]) =>
    `<tr>${row.map((cell) => `<${tag}>${escapeXml(cell)}</${tag}>`).join('')}</tr>`
  return `<section>
<h2>${escapeXml(title.en)} ${japanese(title)}</h2>
<div class="wide" tabindex="0" role="region" aria-label="${escapeXml(title.en)}"><table>
<thead>${cells('th', header)}</thead>
<tbody>
${rows.map((row) => cells('td', row)).join('\n')}
</tbody>
</table></div>
</section>`
}

function japanese({ ja }: Bilingual): string {
  return `<span lang="ja">${escapeXml(ja)}</span>`
}

const seriesVariables = SERIES_COLOURS.map((colour, i) => `--series${i}:${colour}`).join(';')

/** Wide tables scroll by themselves, so that the page never does sideways. */
const STYLE = `
:root{--text:#1c2430;--faint:#c4cad4;--paper:#fff;${seriesVariables}}
@media (prefers-color-scheme:dark){:root{--text:#e6eaf0;--faint:#47505e;--paper:#14181f;--series0:#93a3c4}}
body{margin:0;background:var(--paper);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:44rem;margin:0 auto;padding:1rem}
h1{font-size:1.4rem;line-height:1.3}h2{font-size:1.1rem;margin:2rem 0 .5rem}
[lang=ja]{font-weight:normal}h1 [lang=ja],h2 [lang=ja]{display:block;font-size:.85em;opacity:.8}
figure{margin:0}figure svg{display:block;width:100%;max-width:36rem;height:auto}
figcaption{font-size:.85rem}figcaption [lang=ja]{display:block}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem 1rem;font-size:.9rem}dt{opacity:.8}dd{margin:0}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;white-space:nowrap}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--faint);text-align:right}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}
`
