//! The middle of each box and line from left to right.

use super::{GAP, Item};

/// Rounds of moving nearer to neighbours and apart from what overlaps.
const ROUNDS: usize = 300;
/// Passes over all that overlaps in a round.
const PASSES: usize = 4;

/// `right` stands at least this far from `left`.
struct Apart {
    left: usize,
    right: usize,
    distance: f64,
}

/// The middle of each item: boxes that follow each other stand in a straight column, lines pass straight, all in the order of their
/// rows, and near what they are connected to.
pub(super) fn of(items: &[Item], order: &[Vec<usize>]) -> Vec<f64> {
    let columns = columns(items);
    // Columns that cross cannot all be straight: then each item has a place of its own.
    place(items, order, &columns)
        .or_else(|| place(items, order, &(0..items.len()).collect::<Vec<_>>()))
        .unwrap_or_else(|| vec![0.0; items.len()])
}

/// What an item is connected to on one side: boxes, or lines where there are no boxes.
fn near<'a>(items: &'a [Item], side: &'a [usize]) -> impl Iterator<Item = usize> + Clone + 'a {
    let boxes = side.iter().any(|&one| !items[one].is_line);
    side.iter()
        .copied()
        .filter(move |&one| items[one].is_line != boxes)
}

/// The column of each item. Items of which each is the only one near the other are in one.
fn columns(items: &[Item]) -> Vec<usize> {
    let only = |side: &[usize]| {
        let mut near = near(items, side);
        near.next().filter(|_| near.next().is_none())
    };
    let mut columns: Vec<usize> = (0..items.len()).collect();
    let mut from_above: Vec<usize> = (0..items.len()).collect();
    from_above.sort_by_key(|&item| items[item].row);
    for item in from_above {
        if let Some(above) = only(&items[item].above)
            && only(&items[above].below) == Some(item)
            && items[above].is_line == items[item].is_line
        {
            columns[item] = columns[above];
        }
    }
    columns
}

/// The middles, with all items of a column at one place; `None` where rows contradict each other.
fn place(items: &[Item], order: &[Vec<usize>], columns: &[usize]) -> Option<Vec<f64>> {
    let mut apart: Vec<Apart> = Vec::new();
    for row in order {
        for two in row.windows(2) {
            apart.push(Apart {
                left: columns[two[0]],
                right: columns[two[1]],
                distance: (items[two[0]].width + items[two[1]].width) / 2.0 + GAP,
            });
        }
    }
    sort(&mut apart, items.len())?;
    let mut places = vec![0.0f64; items.len()];
    push_right(&apart, &mut places);
    // By column: the columns that it wants to be near.
    let mut wishes: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (item, own) in items.iter().enumerate() {
        let sides = near(items, &own.above).chain(near(items, &own.below));
        let others = sides.map(|other| columns[other]);
        wishes[columns[item]].extend(others.filter(|&other| other != columns[item]));
    }
    let mut lines = vec![false; items.len()];
    for (item, own) in items.iter().enumerate() {
        lines[columns[item]] = own.is_line;
    }
    for _ in 0..ROUNDS {
        let before = places.clone();
        for (place, wishes) in places.iter_mut().zip(&wishes) {
            if !wishes.is_empty() {
                let sum: f64 = wishes.iter().map(|&other| before[other]).sum();
                *place = (*place + sum / wishes.len() as f64) / 2.0;
            }
        }
        for _ in 0..PASSES {
            for Apart {
                left,
                right,
                distance,
            } in &apart
            {
                let missing = distance - (places[*right] - places[*left]);
                if missing > 0.0 {
                    // A line makes way for a box.
                    let share = match (lines[*left], lines[*right]) {
                        (true, false) => 1.0,
                        (false, true) => 0.0,
                        _ => 0.5,
                    };
                    places[*left] -= missing * share;
                    places[*right] += missing * (1.0 - share);
                }
            }
        }
    }
    push_right(&apart, &mut places);
    // As near as what stands beside each column lets it.
    for _ in 0..ROUNDS {
        for column in (0..places.len()).filter(|&column| !wishes[column].is_empty()) {
            let sum: f64 = wishes[column].iter().map(|&other| places[other]).sum();
            let left = apart.iter().filter(|one| one.right == column);
            let left = left.map(|one| places[one.left] + one.distance);
            let right = apart.iter().filter(|one| one.left == column);
            let right = right.map(|one| places[one.right] - one.distance);
            let wished =
                (sum / wishes[column].len() as f64).min(right.fold(f64::INFINITY, f64::min));
            places[column] = wished.max(left.fold(f64::NEG_INFINITY, f64::max));
        }
    }
    Some(columns.iter().map(|&column| places[column]).collect())
}

/// Moves what stands too near to what is left of it, for distances sorted by [`sort`].
fn push_right(apart: &[Apart], places: &mut [f64]) {
    for Apart {
        left,
        right,
        distance,
    } in apart
    {
        places[*right] = places[*right].max(places[*left] + distance);
    }
}

/// Sorts distances so that all of what stands left of a column come before those of what stands right of it; `None` where they go in a
/// circle.
fn sort(apart: &mut [Apart], count: usize) -> Option<()> {
    let mut before = vec![0usize; count];
    for one in apart.iter() {
        before[one.right] += 1;
    }
    let mut ready: Vec<usize> = (0..count).filter(|&column| before[column] == 0).collect();
    let mut rank = vec![usize::MAX; count];
    let mut next = 0;
    while let Some(column) = ready.pop() {
        rank[column] = next;
        next += 1;
        for one in apart.iter().filter(|one| one.left == column) {
            before[one.right] -= 1;
            if before[one.right] == 0 {
                ready.push(one.right);
            }
        }
    }
    apart.sort_by_key(|one| rank[one.left]);
    (next == count).then_some(())
}
