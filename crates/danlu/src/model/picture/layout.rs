//! Where boxes stand and lines pass.

mod middles;

/// Between two boxes of a row, and between a line and what stands beside it, in pixels.
const GAP: f64 = 28.0;
/// The width that a line takes in a row that it passes.
const LINE: f64 = 4.0;
/// Sweeps over all rows, down and up, that look for fewer crossings.
const SWEEPS: usize = 12;

/// Boxes in rows.
#[derive(Debug, PartialEq)]
pub(super) struct Placed {
    /// By box: its row, and the middle of it in pixels from the left.
    pub boxes: Vec<(usize, f64)>,
    /// By edge: where its line passes rows between its boxes', from above.
    pub passes: Vec<Vec<f64>>,
    pub rows: usize,
    /// In pixels.
    pub width: f64,
}

/// Something that has a place in a row: a box, or a line that passes.
struct Item {
    width: f64,
    row: usize,
    above: Vec<usize>,
    below: Vec<usize>,
    is_line: bool,
}

/// Puts boxes of these widths in rows. An edge goes from a box to one with a larger number.
pub(super) fn place(widths: &[f64], edges: &[(usize, usize)]) -> Placed {
    let rows = rows(widths.len(), edges);
    let mut items: Vec<Item> = widths
        .iter()
        .zip(&rows)
        .map(|(&width, &row)| Item {
            width,
            row,
            above: Vec::new(),
            below: Vec::new(),
            is_line: false,
        })
        .collect();
    // The items of each line, between its boxes.
    let mut lines: Vec<Vec<usize>> = Vec::new();
    for &(from, to) in edges {
        let mut last = from;
        let mut line = Vec::new();
        for row in rows[from] + 1..rows[to] {
            items.push(Item {
                width: LINE,
                row,
                above: Vec::new(),
                below: Vec::new(),
                is_line: true,
            });
            connect(&mut items, last, widths.len() + line.len() + passes(&lines));
            last = widths.len() + line.len() + passes(&lines);
            line.push(last);
        }
        connect(&mut items, last, to);
        lines.push(line);
    }
    let count = rows.iter().max().map_or(0, |last| last + 1);
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (place, item) in items.iter().enumerate() {
        order[item.row].push(place);
    }
    let order = fewest_crossings(&items, order);
    let mut middles = middles::of(&items, &order);
    let left = (0..items.len()).map(|item| middles[item] - items[item].width / 2.0);
    let left = left.fold(f64::INFINITY, f64::min);
    middles.iter_mut().for_each(|middle| *middle -= left);
    let right = (0..items.len()).map(|item| middles[item] + items[item].width / 2.0);
    Placed {
        boxes: rows.iter().copied().zip(middles.iter().copied()).collect(),
        passes: lines
            .iter()
            .map(|line| line.iter().map(|&item| middles[item]).collect())
            .collect(),
        rows: count,
        width: right.fold(0.0, f64::max),
    }
}

fn passes(lines: &[Vec<usize>]) -> usize {
    lines.iter().map(Vec::len).sum()
}

fn connect(items: &mut [Item], from: usize, to: usize) {
    items[from].below.push(to);
    items[to].above.push(from);
}

/// By the longest way from the first row; what nothing comes before stands directly above what it goes to.
fn rows(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut rows: Vec<usize> = vec![0; count];
    let mut begins = vec![true; count];
    let mut sorted = edges.to_vec();
    sorted.sort_unstable_by_key(|&(_, to)| to);
    for (from, to) in sorted {
        rows[to] = rows[to].max(rows[from] + 1);
        begins[to] = false;
    }
    for (place, _) in begins.iter().enumerate().filter(|(_, begins)| **begins) {
        let below = edges.iter().filter(|(from, _)| *from == place);
        let next = below.map(|&(_, to)| rows[to]).min();
        rows[place] = next.map_or(0, |row| row.saturating_sub(1));
    }
    rows
}

/// Each item's place in its row.
fn places(items: &[Item], order: &[Vec<usize>]) -> Vec<usize> {
    let mut places = vec![0; items.len()];
    for row in order {
        for (place, &item) in row.iter().enumerate() {
            places[item] = place;
        }
    }
    places
}

fn crossings(items: &[Item], order: &[Vec<usize>]) -> usize {
    let places = places(items, order);
    let mut count = 0;
    for row in order {
        let ends: Vec<(usize, usize)> = row
            .iter()
            .flat_map(|&item| items[item].below.iter().map(move |&below| (item, below)))
            .map(|(item, below)| (places[item], places[below]))
            .collect();
        for (place, a) in ends.iter().enumerate() {
            let crossed =
                |b: &&(usize, usize)| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1);
            count += ends[..place].iter().filter(crossed).count();
        }
    }
    count
}

/// Sorts each row by where its neighbours stand, and keeps the best that came up.
fn fewest_crossings(items: &[Item], mut order: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut best = (crossings(items, &order), order.clone());
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let rows: Vec<usize> = match down {
            true => (0..order.len()).collect(),
            false => (0..order.len()).rev().collect(),
        };
        for row in rows {
            let places = places(items, &order);
            let mean = |item: usize| {
                let near = match down {
                    true => &items[item].above,
                    false => &items[item].below,
                };
                match near.is_empty() {
                    true => places[item] as f64,
                    false => {
                        near.iter().map(|&one| places[one] as f64).sum::<f64>() / near.len() as f64
                    }
                }
            };
            order[row].sort_by(|&a, &b| mean(a).total_cmp(&mean(b)));
        }
        let found = crossings(items, &order);
        if found < best.0 {
            best = (found, order.clone());
        }
    }
    best.1
}
