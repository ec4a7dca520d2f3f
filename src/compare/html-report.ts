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
  /** Of facts and tables, and first in what is said in both. */
  readonly language: keyof Bilingual
  /** What was found, in a sentence. */
  readonly title: Bilingual
  /** What it is and how it is to be read. */
  readonly lead: Bilingual
  /** Machine, backend, lengths. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  readonly charts: readonly Chart[]
  readonly tables: readonly ReportTable[]
}

const pagePaint: Paint = (ink) => `var(--${ink})`

export function htmlReport({ language, title, lead, facts, charts, tables }: HtmlReport): string {
  const both = (text: Bilingual) => inBoth(text, language)
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeXml(title[language])}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${both(title)}</h1>
<p>${both(lead)}</p>
<dl>
${facts.map(([name, value]) => `<dt>${escapeXml(name)}</dt><dd>${escapeXml(value)}</dd>`).join('\n')}
</dl>
<div class="charts">
${charts.map((chart) => figure(chart, language)).join('\n')}
</div>
${tables.map((table) => section(table, language)).join('\n')}
</main>
</body>
</html>
`
}

function figure(chart: Chart, language: keyof Bilingual): string {
  return `<section>
<h2>${inBoth(chart.title, language)}</h2>
<figure>${drawChart(chart, pagePaint, { language })}
<figcaption>${inBoth(chart.note, language)}</figcaption></figure>
</section>`
}

/** Each cell carries the name of its column: on a phone a row is a list of them. */
function section({ title, header, rows }: ReportTable, language: keyof Bilingual): string {
  const head = header.map((cell) => `<th scope="col" role="columnheader">${escapeXml(cell)}</th>`)
  const body = rows.map((row) => {
    const cells = row.map(
      (cell, i) => `<td role="cell" data-name="${escapeXml(header[i])}">${escapeXml(cell)}</td>`,
    )
    return `<tr role="row">${cells.join('')}</tr>`
  })
  return `<section>
<h2>${inBoth(title, language)}</h2>
<div class="wide" tabindex="0" role="region" aria-label="${escapeXml(title[language])}"><table role="table">
<thead role="rowgroup"><tr role="row">${head.join('')}</tr></thead>
<tbody role="rowgroup">
${body.join('\n')}
</tbody>
</table></div>
</section>`
}

/** The reader's language, and smaller the other one. */
function inBoth(text: Bilingual, language: keyof Bilingual): string {
  const other = language === 'en' ? 'ja' : 'en'
  return `${escapeXml(text[language])} <span class="other" lang="${other}">${escapeXml(text[other])}</span>`
}

const seriesVariables = SERIES_COLOURS.map((colour, i) => `--series${i}:${colour}`).join(';')

/** A table that is wider than the page scrolls by itself; on a phone its rows are lists. */
const STYLE = `
:root{--text:#1c2430;--faint:#c4cad4;--paper:#fff;${seriesVariables}}
@media (prefers-color-scheme:dark){:root{--text:#e6eaf0;--faint:#47505e;--paper:#14181f;--series0:#93a3c4}}
body{margin:0;background:var(--paper);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:62rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.3}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
.other{display:block;font-weight:normal;font-size:.85em;opacity:.8}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:0 2.5rem}
figure{margin:0}figure svg{display:block;width:100%;max-width:36rem;height:auto}figcaption{font-size:.85rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem 1rem;font-size:.9rem}dt{opacity:.8}
dd{margin:0;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;white-space:nowrap}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--faint);text-align:right}
th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}
@media (max-width:46rem){thead{display:none}
table,tbody,tr{display:block}tr{border-bottom:1px solid var(--faint);padding:.4rem 0}
td{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.1rem 0}
td:empty{display:none}td:not(:nth-child(-n+2))::before{content:attr(data-name);opacity:.8}
td:nth-child(-n+2){display:inline;font-weight:600;padding-right:.5rem}}
`
