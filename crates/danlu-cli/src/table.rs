//! Tables for terminals.

/// Titles and rows in columns as wide as they need to be.
pub fn text(titles: &[&str], rows: &[Vec<String>]) -> String {
    let title: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let mut widths = vec![0; titles.len()];
    for row in rows.iter().chain([&title]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    [&title].into_iter().chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["läng".to_owned(), String::new()],
        ];
        assert_eq!(super::text(&["x", "y"], &rows), "x     y\na     1\nläng\n");
    }
}
