//! Targets made of a dataset's own: other names, and numbers by class.

use std::sync::Arc;

use danlu_graph::{DType, Tensor};

use super::Source;
use crate::{ArrayDataset, Dataset, Error, Result, suggest};

/// A target that is another one under a new name, perhaps with a number in place of each class.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetRule {
    /// Its name.
    pub name: String,
    /// The target of the data that it is made of.
    pub from: String,
    /// The number for each class, from 0 on; `None`: the target as it is.
    pub map: Option<Vec<f64>>,
}

impl Source {
    /// The same data with these targets, in this order, in place of its own. The fingerprint stays that of the data as it lies in files.
    ///
    /// # Errors
    /// There is no target to make one of; a label is no whole number from 0 up to the last that has a number.
    pub fn with_targets(mut self, rules: &[TargetRule]) -> Result<Source> {
        let made = |part: Option<ArrayDataset>| part.map(|part| derived(part, rules)).transpose();
        let (train, test) = (made(self.train)?, made(self.test)?);
        let fingerprint = self.fingerprint;
        self = Source::new(&self.name, self.path.as_deref(), train, test)?;
        self.fingerprint = fingerprint;
        Ok(self)
    }
}

fn derived(part: ArrayDataset, rules: &[TargetRule]) -> Result<ArrayDataset> {
    let fields = &part.specification().targets;
    let mut targets = Vec::with_capacity(rules.len());
    for rule in rules {
        let place = fields.iter().position(|field| field.name == rule.from);
        let Some(place) = place else {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
            return Err(Error::Unknown {
                kind: "target",
                name: format!("{}` in `{}", rule.from, part.specification().name),
                suggestion: suggest::hint(&rule.from, names),
            });
        };
        let own = &part.targets()[place];
        let target = match &rule.map {
            None => own.clone(),
            Some(map) => Arc::new(mapped(own, map, rule, &part)?),
        };
        targets.push((rule.name.clone(), target));
    }
    part.with_targets(targets)
}

/// The number of each label's class: i32 where all numbers are whole, else f32.
fn mapped(labels: &Tensor, map: &[f64], rule: &TargetRule, part: &ArrayDataset) -> Result<Tensor> {
    let width = labels.len() / labels.shape().first().copied().unwrap_or(1).max(1);
    let number = |place: usize| {
        let label = labels.get_f64(place);
        let class = (label >= 0.0 && label.fract() == 0.0).then_some(label as usize);
        class
            .and_then(|class| map.get(class).copied())
            .ok_or_else(|| Error::Label {
                dataset: format!(
                    "the target `{}` made of `{}` of {}",
                    rule.name,
                    rule.from,
                    part.specification().name
                ),
                example: place / width.max(1),
                value: label.to_string(),
                classes: map.len(),
            })
    };
    let numbers = (0..labels.len())
        .map(number)
        .collect::<Result<Vec<f64>>>()?;
    let whole = |number: &f64| f64::from(*number as i32) == *number;
    let dtype = match map.iter().all(whole) {
        true => DType::I32,
        false => DType::F32,
    };
    Ok(match dtype {
        DType::I32 => {
            let numbers = numbers.into_iter().map(|number| number as i32);
            Tensor::from_i32(labels.shape(), numbers.collect())?
        }
        _ => {
            let numbers = numbers.into_iter().map(|number| number as f32);
            Tensor::from_f32(labels.shape(), numbers.collect())?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, from: &str, map: Option<&[f64]>) -> TargetRule {
        TargetRule {
            name: name.to_owned(),
            from: from.to_owned(),
            map: map.map(<[f64]>::to_vec),
        }
    }

    fn digits() -> Source {
        crate::open_builtin("digits").unwrap()
    }

    const EVEN: [f64; 10] = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];

    #[test]
    fn targets_are_renamed_and_mapped_in_both_parts() {
        let before = digits();
        let rules = [
            rule("digit", "y", None),
            rule("even", "y", Some(&EVEN)),
            rule("half", "y", Some(&[0.5; 10])),
        ];
        let source = before.clone().with_targets(&rules).unwrap();
        assert_eq!(source.fingerprint, before.fingerprint);
        for (part, old) in [(source.train, before.train), (source.test, before.test)] {
            let (part, old) = (part.unwrap(), old.unwrap());
            let own = part.specification();
            let names: Vec<&str> = own
                .targets
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            assert_eq!(names, ["digit", "even", "half"]);
            assert_eq!(own.classes, None);
            assert_eq!(part.len(), old.len());
            // The labels themselves are shared, not copied.
            assert!(Arc::ptr_eq(&part.targets()[0], &old.targets()[0]));
            for row in 0..part.len() {
                let label = old.targets()[0].get_f64(row) as usize;
                assert_eq!(part.targets()[1].get_f64(row), EVEN[label]);
            }
            assert_eq!(part.targets()[1].dtype(), DType::I32);
            assert_eq!(part.targets()[2].as_f32().unwrap()[0], 0.5);
        }
        let source = digits().with_targets(&rules[1..2]).unwrap();
        assert_eq!(source.train.unwrap().specification().classes, Some(2));
    }

    #[test]
    fn rules_that_do_not_fit_are_errors() {
        let error = |rule| digits().with_targets(&[rule]).unwrap_err().to_string();
        let text = error(rule("a", "z", None));
        assert!(
            text.contains("no target named `z` in `training part of digits`"),
            "{text}"
        );
        let text = error(rule("few", "y", Some(&EVEN[..9])));
        assert!(
            text.contains("`few` made of `y`") && text.contains("label 9"),
            "{text}"
        );
    }
}
