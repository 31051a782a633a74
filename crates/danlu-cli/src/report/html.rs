//! The page's looks, and small pieces of it.

use danlu::plots::escape;

/// The style of the page: one column on narrow screens, colours for light and dark.
pub const STYLE: &str = "\
:root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--ink:#1c232b;--soft:#5b6673;--rule:#dfe3e8;--accent:#0067b0;--good:#0a7a4b;--bad:#b3261e;--wait:#8a5a00}\
@media(prefers-color-scheme:dark){:root{--page:#0e1115;--card:#14181d;--ink:#e6eaef;--soft:#a3adb8;--rule:#2a313a;--accent:#6cb8f0;--good:#4fd08f;--bad:#ff8a80;--wait:#f0b849}}\
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}\
main{max-width:1080px;margin:0 auto;padding:28px 20px 40px}h1{font-size:26px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}\
h2{font-size:17px;margin:0 0 12px}h3{font-size:14px;margin:18px 0 8px}p{margin:0 0 10px}\
.about{color:var(--soft);margin:0 0 14px}.result{font-size:18px;line-height:1.45;margin:0 0 18px}\
.state{display:inline-block;font-size:12px;font-weight:600;padding:2px 9px;border-radius:99px;border:1px solid currentColor;vertical-align:4px;margin-left:8px}\
.finished{color:var(--good)}.failed{color:var(--bad)}.interrupted,.running,.unknown{color:var(--wait)}\
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:18px 20px;margin:0 0 16px}\
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:10px;margin:0 0 16px}\
.tile{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:11px 14px}.tile b{display:block;font-size:20px;white-space:nowrap;font-weight:600;line-height:1.3}.tile span{color:var(--soft);font-size:13px}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:10px 20px}\
.side{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:20px;align-items:start}\
svg{max-width:100%;height:auto;display:block}.wide{overflow-x:auto}.model svg{margin:0 auto}.first{margin-top:16px}\
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}th,td{padding:4px 14px 4px 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}\
th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}th:first-child,td:first-child{text-align:left}tr.best td{font-weight:600;color:var(--accent)}\
table.pairs{width:100%}table.pairs td{text-align:left;white-space:normal;overflow-wrap:anywhere;vertical-align:top}table.pairs td:first-child{color:var(--soft);width:12em}\
.rows{max-height:420px;overflow:auto}.rows th{position:sticky;top:0;background:var(--card)}\
pre{overflow-x:auto;background:var(--page);border:1px solid var(--rule);border-radius:8px;padding:10px 12px;margin:0 0 10px;font:12.5px/1.45 ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace}\
summary{cursor:pointer;color:var(--accent)}details{margin:10px 0 0}details pre,details .wide{margin-top:10px}footer{color:var(--soft);font-size:13px}\
@media(max-width:480px){main{padding:18px 12px 30px}section{padding:14px 14px}h1{font-size:22px}.result{font-size:16px}table.pairs td:first-child{width:9em}}\
@media print{body{background:#fff}section,.tile{break-inside:avoid}}";

/// A part of the page with a heading.
pub fn section(title: &str, body: &str) -> String {
    match body.is_empty() {
        true => String::new(),
        false => format!("<section><h2>{}</h2>{body}</section>\n", escape(title)),
    }
}

/// Names and what they are.
pub fn pairs(rows: &[(String, String)]) -> String {
    let row = |(name, value): &(String, String)| {
        format!(
            "<tr><td>{}</td><td>{}</td></tr>",
            escape(name),
            escape(value)
        )
    };
    format!(
        "<table class=\"pairs\">{}</table>",
        rows.iter().map(row).collect::<String>()
    )
}

/// Something to unfold.
pub fn details(title: &str, body: &str) -> String {
    format!(
        "<details><summary>{}</summary>{body}</details>",
        escape(title)
    )
}

/// Text as it is.
pub fn pre(text: &str) -> String {
    format!("<pre>{}</pre>", escape(text.trim_end()))
}

/// A table with a row of titles; a row that is marked stands out.
pub fn table(titles: &[String], rows: &[(bool, Vec<String>)]) -> String {
    let cells = |tag: &str, cells: &[String]| -> String {
        let cell = |text: &String| format!("<{tag}>{}</{tag}>", escape(text));
        cells.iter().map(cell).collect()
    };
    let row = |(marked, row): &(bool, Vec<String>)| {
        let class = if *marked { " class=\"best\"" } else { "" };
        format!("<tr{class}>{}</tr>", cells("td", row))
    };
    format!(
        "<div class=\"rows\"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>",
        cells("th", titles),
        rows.iter().map(row).collect::<String>()
    )
}
