//! Which of the data's arrays goes to which input and output of a model.

use danlu_data::{Field, Specification};

use crate::{Error, Model, Result};

/// Where the sample weights of an output come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weights {
    /// One for each example, the same for all outputs.
    Examples,
    /// Those of one target, by their place among such.
    Target(usize),
}

/// The places, in a batch, of what a program takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrangement {
    /// For each input of the model.
    pub features: Vec<usize>,
    /// For each output that is compared with a target.
    pub targets: Vec<usize>,
    /// The arrays of sample weights.
    pub weights: Vec<Weights>,
    /// For each output, which array of sample weights is its.
    pub weights_of: Vec<Option<usize>>,
}

impl Arrangement {
    /// Inputs alone, in order.
    pub fn of_inputs(model: &Model) -> Arrangement {
        Arrangement {
            features: (0..model.input_names().len()).collect(),
            ..Arrangement::default()
        }
    }

    /// Arrays in the model's order, without weights.
    pub fn in_order(model: &Model) -> Arrangement {
        let objectives = model.compiled.iter().flat_map(|one| &one.objectives);
        let targets = objectives.filter(|one| one.has_target()).count();
        Arrangement {
            targets: (0..targets).collect(),
            ..Arrangement::of_inputs(model)
        }
    }

    /// The data's inputs for the model's: by name where there are several and the names are the model's, or else in order.
    pub fn features(model: &Model, specification: &Specification) -> Result<Vec<usize>> {
        let names = model.input_names();
        let own = &specification.features;
        if let ([_], [_]) = (names.as_slice(), own.as_slice()) {
            return Ok(vec![0]);
        }
        if own.len() != names.len() {
            let expected = match names.as_slice() {
                [_] => "one input array".to_owned(),
                names => format!("{} input arrays: {}", names.len(), names.join(", ")),
            };
            let received = format!("{} arrays", own.len());
            return Err(Error::mismatch(
                specification.name.as_str(),
                expected,
                received,
                "",
            ));
        }
        match_names("input of the model", &names, own)
    }

    /// The data's targets and weights for the model's outputs.
    pub fn with_targets(
        model: &Model,
        specification: &Specification,
        weighted: bool,
        action: &'static str,
    ) -> Result<Arrangement> {
        let objectives = &model.require_compiled(action)?.objectives;
        let names = model.output_names();
        let wanted: Vec<usize> = (0..objectives.len())
            .filter(|&place| objectives[place].has_target())
            .collect();
        let own = &specification.targets;
        let name = specification.name.as_str();
        let wanted_names: Vec<&str> = match names.is_empty() {
            true => vec!["y"],
            false => wanted.iter().map(|&place| names[place].as_str()).collect(),
        };
        let all_names: Vec<&str> = names.iter().map(String::as_str).collect();
        let targets = if objectives.len() == 1 && own.len() == 1 {
            vec![0]
        } else if own.len() == wanted.len() {
            match_names("output of the model", &wanted_names, own)?
        } else if own.len() == objectives.len() {
            let all = match_names("output of the model", &all_names, own)?;
            wanted.iter().map(|&place| all[place]).collect()
        } else {
            let expected = match wanted_names.as_slice() {
                [_] => "one target array".to_owned(),
                names => format!("{} target arrays: {}", names.len(), names.join(", ")),
            };
            let received = match own.len() {
                1 => "1 array".to_owned(),
                count => format!("{count} arrays"),
            };
            let hint = match wanted.len() > own.len() {
                true => {
                    "give each output its target (in a recipe `[data.targets]` may make several of one), or a loss to those \
                     outputs only that have one"
                }
                false => "leave out those that no output has a loss for",
            };
            return Err(Error::mismatch(name, expected, received, hint));
        };
        let mut weights = Vec::new();
        let mut weights_of = vec![None; objectives.len()];
        for (&output, target) in wanted.iter().zip(&targets) {
            let own = specification
                .target_weights
                .iter()
                .position(|one| one == target);
            let source = match own {
                Some(place) => Weights::Target(place),
                None if weighted => Weights::Examples,
                None => continue,
            };
            let known = weights.iter().position(|one| *one == source);
            weights_of[output] = Some(known.unwrap_or_else(|| {
                weights.push(source);
                weights.len() - 1
            }));
        }
        Ok(Arrangement {
            features: Arrangement::features(model, specification)?,
            targets,
            weights,
            weights_of,
        })
    }
}

/// For each name the place of the array of that name; in order, where no array has any of the names.
fn match_names(kind: &'static str, names: &[&str], arrays: &[Field]) -> Result<Vec<usize>> {
    let find = |name: &&str| arrays.iter().position(|array| array.name == **name);
    if names.iter().all(|name| find(name).is_none()) {
        return Ok((0..names.len()).collect());
    }
    let stranger = arrays
        .iter()
        .find(|array| !names.contains(&array.name.as_str()));
    match stranger {
        Some(array) => Err(Error::unknown(kind, &array.name, names.iter().copied())),
        // As many names as arrays, and each array has one of them.
        None => Ok(names.iter().filter_map(find).collect()),
    }
}
