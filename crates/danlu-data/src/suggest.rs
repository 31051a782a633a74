//! "Did you mean": the nearest of the names that exist.

/// Names longer than this are cut before they are compared.
const LONGEST: usize = 64;

/// The candidate nearest to `name`, if one is near: at most a third of its letters (at least one) inserted, deleted, replaced or
/// swapped with a neighbour, whatever the case.
///
/// ```
/// use danlu_data::suggest::did_you_mean;
/// assert_eq!(did_you_mean("mnsit", ["digits", "mnist"]), Some("mnist"));
/// assert_eq!(did_you_mean("imagenet", ["digits", "mnist"]), None);
/// ```
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let letters = fold(name);
    candidates
        .into_iter()
        .map(|candidate| {
            let other = fold(candidate);
            let allowed = (letters.len().max(other.len()) / 3).max(1);
            (distance(&letters, &other), allowed, candidate)
        })
        .filter(|&(distance, allowed, _)| distance <= allowed)
        .min_by_key(|&(distance, _, _)| distance)
        .map(|(_, _, candidate)| candidate)
}

/// The end of a sentence about an unknown name: "did you mean ...?" or, where none is near, `; there are: a, b, c`.
pub fn hint<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
) -> String {
    let candidates = candidates.into_iter();
    match did_you_mean(name, candidates.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => {
            let all: Vec<&str> = candidates.collect();
            match all.is_empty() {
                true => String::new(),
                false => format!("; there are: {}", all.join(", ")),
            }
        }
    }
}

fn fold(name: &str) -> Vec<char> {
    let letters = name.chars().flat_map(char::to_lowercase);
    letters
        .map(|letter| if letter == '-' { '_' } else { letter })
        .take(LONGEST)
        .collect()
}

/// The optimal string alignment distance (Damerau 1964): insertions, deletions, replacements, swaps of neighbours.
fn distance(left: &[char], right: &[char]) -> usize {
    let width = right.len() + 1;
    let mut table = vec![0usize; (left.len() + 1) * width];
    for row in 0..=left.len() {
        for column in 0..width {
            let cell = if row == 0 || column == 0 {
                row + column
            } else {
                let replaced = usize::from(left[row - 1] != right[column - 1]);
                let mut best = (table[(row - 1) * width + column] + 1)
                    .min(table[row * width + column - 1] + 1)
                    .min(table[(row - 1) * width + column - 1] + replaced);
                if row > 1
                    && column > 1
                    && left[row - 1] == right[column - 2]
                    && left[row - 2] == right[column - 1]
                {
                    best = best.min(table[(row - 2) * width + column - 2] + 1);
                }
                best
            };
            table[row * width + column] = cell;
        }
    }
    table[left.len() * width + right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let names = ["learning_rate", "epochs", "batch_size"];
        assert_eq!(did_you_mean("epoch", names), Some("epochs"));
        assert_eq!(did_you_mean("Batch-Size", names), Some("batch_size"));
        assert_eq!(did_you_mean("learning_rtae", names), Some("learning_rate"));
        assert_eq!(did_you_mean("", names), None);
        assert_eq!(did_you_mean("x", []), None);
        assert_eq!(did_you_mean(&"x".repeat(1 << 20), names), None);
    }

    #[test]
    fn distances_are_those_of_the_textbook() {
        for (left, right, expected) in [
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("", "abc", 3),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(&fold(left), &fold(right)), expected);
        }
    }

    #[test]
    fn a_far_name_lists_what_there_is() {
        assert_eq!(hint("mnsit", ["mnist"]), "; did you mean `mnist`?");
        assert_eq!(
            hint("zzzz", ["mnist", "digits"]),
            "; there are: mnist, digits"
        );
    }
}
