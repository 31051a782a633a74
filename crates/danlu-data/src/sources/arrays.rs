//! Datasets as arrays by name: `x`, `y` and `weight`, each with `_<name>` where there are several and `_train` or `_test` where there
//! are parts.

use std::path::Path;
use std::sync::Arc;

use danlu_graph::Tensor;

use super::{Npz, Source, with_channels};
use crate::{ArrayDataset, Error, Result};

/// What an array is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Feature,
    Target,
    Weight,
}

const ROLES: [(&str, Role); 3] = [
    ("x", Role::Feature),
    ("y", Role::Target),
    ("weight", Role::Weight),
];

/// The ends of the names of a part's arrays.
const TRAIN: &str = "_train";
const TEST: &str = "_test";

/// An input, a target or weights, by the part of the arrays' names that says which.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    /// `x`, `x_left`.
    base: String,
    role: Role,
    /// `left`; `None` for `x`, the only one.
    name: Option<String>,
}

impl Kind {
    /// What an array of this name without the part's end is, if it is anything.
    fn of(base: &str) -> Option<Kind> {
        ROLES.iter().find_map(|&(prefix, role)| {
            let rest = base.strip_prefix(prefix)?;
            let name = match rest.strip_prefix('_') {
                Some("") => return None,
                None if rest.is_empty() => None,
                None => return None,
                Some(name) => Some(name.to_owned()),
            };
            Some(Kind {
                base: base.to_owned(),
                role,
                name,
            })
        })
    }

    /// What the model calls it.
    fn field(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.base.clone())
    }
}

/// Reads a dataset: the parts that there are, or else all examples as one.
pub(super) fn open(mut npz: Npz, name: &str, path: &Path) -> Result<Source> {
    let parted = |end: &str| -> Vec<Kind> {
        let arrays = npz.arrays().iter();
        let bases = arrays.filter_map(|array| array.strip_suffix(end));
        bases.filter_map(Kind::of).collect()
    };
    let whole = || -> Vec<Kind> {
        let end = |array: &&String| array.ends_with(TRAIN) || array.ends_with(TEST);
        let plain = npz.arrays().iter().filter(|array| !end(array));
        plain.filter_map(|array| Kind::of(array)).collect()
    };
    let (train, test) = (parted(TRAIN), parted(TEST));
    if train.is_empty() && test.is_empty() {
        let kinds = whole();
        if kinds.is_empty() {
            return Err(Error::mismatch(
                format!("the arrays of `{}`", npz.name()),
                "x_train and y_train (and x_test, y_test), or x and y; x_<input> and y_<output> where there are several",
                match npz.arrays() {
                    [] => "none".to_owned(),
                    arrays => arrays.join(", "),
                },
                "name them so in numpy.savez",
            ));
        }
        let all = part(&mut npz, "examples", kinds, "")?;
        return Source::new(name, Some(path), Some(all), None);
    }
    let (train, test) = alike(&npz, train, test)?;
    let mut read = |what: &str, kinds: Vec<Kind>, end: &str| match kinds.is_empty() {
        true => Ok(None),
        false => part(&mut npz, what, kinds, end).map(Some),
    };
    let train = read("training part", train, TRAIN)?;
    let test = read("test part", test, TEST)?;
    Source::new(name, Some(path), train, test)
}

/// The arrays of both parts in one order, where both are there: inputs and targets must be the same; weights need not.
fn alike(npz: &Npz, train: Vec<Kind>, test: Vec<Kind>) -> Result<(Vec<Kind>, Vec<Kind>)> {
    if train.is_empty() || test.is_empty() {
        return Ok((train, test));
    }
    let lacks = |kinds: &[Kind], others: &[Kind]| {
        let missing = others.iter().find(|kind| !kinds.contains(kind));
        missing.map(|kind| kind.base.clone())
    };
    let examples = |kinds: &[Kind]| -> Vec<Kind> {
        let own = kinds.iter().filter(|kind| kind.role != Role::Weight);
        own.cloned().collect()
    };
    let (own, other) = (examples(&train), examples(&test));
    for (kinds, others, missing, there) in
        [(&test, &own, TEST, TRAIN), (&train, &other, TRAIN, TEST)]
    {
        if let Some(base) = lacks(kinds, others) {
            return Err(Error::mismatch(
                format!("the arrays of `{}`", npz.name()),
                format!("{base}{missing}, as there is {base}{there}"),
                npz.arrays().join(", "),
                "give both parts the same inputs and targets",
            ));
        }
    }
    let place = |kind: &Kind| train.iter().position(|other| other == kind);
    let mut test = test;
    test.sort_by_key(|kind| place(kind).unwrap_or(usize::MAX));
    Ok((train, test))
}

/// Reads the arrays of one part.
fn part(npz: &mut Npz, what: &str, kinds: Vec<Kind>, end: &str) -> Result<ArrayDataset> {
    let file = npz.name().to_owned();
    let of = |role: Role| kinds.iter().filter(move |kind| kind.role == role);
    let bases = |role: Role| -> Vec<String> {
        let bases = of(role).map(|kind| format!("{}{end}", kind.base));
        bases.collect()
    };
    let (inputs, targets) = (bases(Role::Feature), bases(Role::Target));
    let wrong = |expected: String, received: String, advice: &str| {
        Err(Error::mismatch(
            format!("the arrays of `{file}`"),
            expected,
            received,
            advice,
        ))
    };
    if inputs.is_empty() || targets.is_empty() {
        let (there, missing) = match inputs.is_empty() {
            true => (targets, "x"),
            false => (inputs, "y"),
        };
        let there = match there.is_empty() {
            true => bases(Role::Weight),
            false => there,
        };
        return wrong(
            format!("x{end} and y{end}"),
            format!("{} without {missing}{end}", there.join(", ")),
            "save both, or neither",
        );
    }
    for role in [Role::Feature, Role::Target] {
        if of(role).count() > 1
            && let Some(plain) = of(role).find(|kind| kind.name.is_none())
        {
            return wrong(
                format!(
                    "a name for each of several, such as {0}_first{end}",
                    plain.base
                ),
                bases(role).join(", "),
                "save the one without a name under one",
            );
        }
    }
    let mut read = |kind: &Kind| npz.read(&format!("{}{end}", kind.base));
    let mut named: [Vec<(String, Arc<Tensor>)>; 2] = Default::default();
    let mut rows: Option<(String, usize)> = None;
    for (place, role) in [Role::Feature, Role::Target].into_iter().enumerate() {
        for kind in of(role) {
            let tensor = match role {
                Role::Feature => with_channels(read(kind)?)?,
                _ => read(kind)?,
            };
            let array = format!("{}{end}", kind.base);
            if let Some(&own) = tensor.shape().first() {
                let (first, count) = rows.get_or_insert_with(|| (array.clone(), own)).clone();
                if own != count {
                    let one = match role {
                        Role::Feature => "examples, as many as in",
                        _ => "labels, one for each example of",
                    };
                    return Err(Error::mismatch(
                        format!("`{file}, {array}`"),
                        format!("{count} {one} `{file}, {first}`"),
                        own.to_string(),
                        "the arrays do not belong together, or one is incomplete",
                    ));
                }
            }
            named[place].push((kind.field(), Arc::new(tensor)));
        }
    }
    let [features, targets] = named;
    let mut dataset = ArrayDataset::from_named(&format!("{what} of {file}"), features, targets)?;
    for kind in of(Role::Weight) {
        let weights = read(kind)?;
        dataset = match &kind.name {
            None => dataset.with_weights(weights)?,
            Some(name) => dataset.with_target_weights(name, weights)?,
        };
    }
    Ok(dataset)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use danlu_graph::DType;

    use super::*;
    use crate::sources::{npy, open_path};
    use crate::{Batch, Dataset};

    fn source(arrays: &[(&str, &[usize], DType)]) -> Result<Source> {
        let mut file = tempfile::NamedTempFile::with_suffix(".npz").unwrap();
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (number, (name, shape, dtype)) in arrays.iter().enumerate() {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(format!("{name}.npy"), options).unwrap();
            let tensor = match dtype {
                DType::F32 => {
                    let count = shape.iter().product();
                    Tensor::from_f32(shape, vec![number as f32; count]).unwrap()
                }
                dtype => Tensor::zeros(shape, *dtype).unwrap(),
            };
            npy::write(&mut writer, &tensor).unwrap();
        }
        file.write_all(&writer.finish().unwrap().into_inner())
            .unwrap();
        open_path(file.path())
    }

    const F: DType = DType::F32;

    #[test]
    fn several_inputs_and_targets_have_names() {
        let source = source(&[
            ("x_left_train", &[4, 8, 8], DType::U8),
            ("x_right_train", &[4, 3], F),
            ("y_sum_train", &[4], F),
            ("y_kind_train", &[4], DType::I32),
            ("weight_kind_train", &[4], F),
            ("y_kind_test", &[2], DType::I32),
            ("y_sum_test", &[2], F),
            ("x_right_test", &[2, 3], F),
            ("x_left_test", &[2, 8, 8], DType::U8),
            ("notes", &[1], F),
        ])
        .unwrap();
        let (train, test) = (source.train.unwrap(), source.test.unwrap());
        for part in [&train, &test] {
            let own = part.specification();
            let names = |fields: &[crate::Field]| -> Vec<(String, Vec<usize>)> {
                let fields = fields.iter();
                fields
                    .map(|one| (one.name.clone(), one.shape.clone()))
                    .collect()
            };
            assert_eq!(
                names(&own.features),
                [
                    ("left".to_owned(), vec![8, 8, 1]),
                    ("right".to_owned(), vec![3])
                ]
            );
            assert_eq!(
                names(&own.targets),
                [("sum".to_owned(), vec![]), ("kind".to_owned(), vec![])]
            );
            assert!(own.features[0].pixels && !own.features[1].pixels);
        }
        assert_eq!(train.specification().target_weights, [1]);
        assert!(test.specification().target_weights.is_empty());
        let mut batch = Batch::default();
        test.get(&[1], &mut batch).unwrap();
        // Every array of the file holds its own number.
        assert_eq!(batch.features[1].as_f32().unwrap(), [7.0; 3]);
        assert_eq!(batch.targets[0].as_f32().unwrap(), [6.0]);
    }

    #[test]
    fn a_single_one_may_have_a_name_and_weights() {
        let source = source(&[("x_a", &[4, 3], F), ("y", &[4], F), ("weight", &[4], F)]).unwrap();
        let train = source.train.unwrap();
        assert_eq!(train.specification().features[0].name, "a");
        assert_eq!(train.specification().targets[0].name, "y");
        assert!(train.specification().weighted);
    }

    #[test]
    fn arrays_that_do_not_fit_are_named() {
        let error = |arrays: &[(&str, &[usize], DType)]| source(arrays).unwrap_err().to_string();
        let cases = [
            (
                error(&[("x_a", &[4, 3], F), ("x_b", &[3, 3], F), ("y", &[4], F)]),
                "4 examples, as many as in",
            ),
            (
                error(&[("x_a", &[4, 3], F), ("y_p", &[4], F), ("y_q", &[5], F)]),
                "y_q`: expected 4 labels",
            ),
            (
                error(&[("x", &[4, 3], F), ("x_b", &[4, 3], F), ("y", &[4], F)]),
                "received x, x_b",
            ),
            (
                error(&[
                    ("x_a_train", &[4, 3], F),
                    ("y_train", &[4], F),
                    ("y_test", &[2], F),
                    ("x_test", &[2, 3], F),
                ]),
                "expected x_a_test, as there is x_a_train",
            ),
            (
                error(&[
                    ("x_train", &[4, 3], F),
                    ("y_train", &[4], F),
                    ("x_test", &[2, 3], F),
                    ("y_test", &[2], F),
                    ("y_more_test", &[2], F),
                ]),
                "expected y_more_train, as there is y_more_test",
            ),
            (
                error(&[("x_a_train", &[4, 3], F), ("x_b_train", &[4, 3], F)]),
                "x_a_train, x_b_train without y_train",
            ),
            (error(&[("y_train", &[4], F)]), "y_train without x_train"),
            (
                error(&[("x", &[4, 3], F), ("y", &[4], F), ("weight_z", &[4], F)]),
                "`z`",
            ),
            (
                error(&[("x", &[4, 3], F), ("y", &[4], F), ("weight", &[3], F)]),
                "floats of shape [4]",
            ),
            (
                error(&[("x_", &[4, 3], F), ("yes", &[4], F)]),
                "received x_, yes",
            ),
        ];
        for (text, expected) in cases {
            assert!(text.contains(expected), "`{expected}` is not in: {text}");
        }
    }
}
