//! Tables for people: aligned columns, numbers with their units.

/// Rows of cells; the first columns are aligned left, the others right.
pub struct Table {
    left: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings, the first `left` of them over text.
    pub fn new(left: usize, headings: &[&str]) -> Table {
        let headings = headings.iter().map(|&heading| heading.to_owned());
        Table {
            left,
            rows: vec![headings.collect()],
        }
    }

    /// Appends a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The lines, each with its line break.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate();
            let line: Vec<String> = cells
                .map(|(column, (cell, &width))| match column < self.left {
                    true => format!("{cell:<width$}"),
                    false => format!("{cell:>width$}"),
                })
                .collect();
            text.push_str(line.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// A time: `12.3 us`, `4.56 ms`, `1.23 s`.
pub fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 999.5e-6 => format!("{} us", number(seconds * 1e6)),
        seconds if seconds < 999.5e-3 => format!("{} ms", number(seconds * 1e3)),
        seconds => format!("{} s", number(seconds)),
    }
}

/// A number with three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A share as a percentage: `0.3 %`, `55 %`.
pub fn percent(share: f64) -> String {
    match share {
        share if share < 0.0995 => format!("{:.1} %", share * 100.0),
        share => format!("{:.0} %", share * 100.0),
    }
}

/// A size in memory: `15.3 MB`.
pub fn bytes(count: u64) -> String {
    match count as f64 {
        count if count < 1e6 => format!("{} kB", number(count / 1e3)),
        count if count < 1e9 => format!("{} MB", number(count / 1e6)),
        count => format!("{} GB", number(count / 1e9)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(time(12.34e-6), "12.3 us");
        assert_eq!(time(4.557e-3), "4.56 ms");
        assert_eq!(time(999.7e-6), "1.00 ms");
        assert_eq!(time(123.0), "123 s");
        assert_eq!(percent(0.0034), "0.3 %");
        assert_eq!(percent(0.554), "55 %");
        assert_eq!(bytes(15_297_728), "15.3 MB");
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(1, &["layer", "time"]);
        table.row(vec!["a".to_owned(), "1".to_owned()]);
        table.row(vec!["conv2d".to_owned(), "1234".to_owned()]);
        assert_eq!(table.text(), "layer   time\na          1\nconv2d  1234\n");
    }
}
