//! A model as a table, as Keras prints it.

use std::fmt::Write as _;

use danlu_graph::{DType, Dim, Shape};

use super::{Call, Model, Source};
use crate::optimizers::{StateSpec, layout};

/// Titles and widths of Keras' columns on a terminal of 76 characters, and whether they are aligned to the right.
const COLUMNS: [(&str, usize, bool); 3] = [
    ("Layer (type)", 31, false),
    ("Output Shape", 22, false),
    ("Param #", 13, true),
];
/// As [`COLUMNS`], for a model that is more than a chain.
const GRAPH_COLUMNS: [(&str, usize, bool); 4] = [
    ("Layer (type)", 19, false),
    ("Output Shape", 17, false),
    ("Param #", 10, true),
    ("Connected to", 17, false),
];

impl Model {
    /// The layers with their output shapes and numbers of parameters, and, where the model is more than a chain, what they are
    /// connected to (`layer[call][output]`), as Keras' `summary` prints them; optimizer parameters are counted once they
    /// exist.
    pub fn summary(&self) -> String {
        let branches = self.has_branches();
        let columns = match branches {
            true => GRAPH_COLUMNS.as_slice(),
            false => COLUMNS.as_slice(),
        };
        let shown = (0..self.nodes.len()).filter(|&place| {
            !self.is_sequential() || self.nodes[place].layer.input_shape().is_none()
        });
        let rows: Vec<Vec<String>> = shown.map(|place| self.row(place, branches)).collect();
        let mut widths: Vec<usize> = columns.iter().map(|column| column.1).collect();
        // Keras wraps cells at spaces, as here, and cuts longer words, which we do not.
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                let words = cell.split(' ').map(|word| word.chars().count());
                *width = words.fold(*width, usize::max);
            }
        }
        let line = |[left, middle, right]: [char; 3], dash: char| {
            let parts = widths
                .iter()
                .map(|width| dash.to_string().repeat(width + 2));
            let parts: Vec<String> = parts.collect();
            format!("{left}{}{right}\n", parts.join(&middle.to_string()))
        };
        let cells = |bar: char, cells: &[&str]| {
            let mut text = bar.to_string();
            for ((cell, &width), column) in cells.iter().zip(&widths).zip(columns) {
                // Writing to a String cannot fail.
                let _ = match column.2 {
                    true => write!(text, " {cell:>width$} {bar}"),
                    false => write!(text, " {cell:width$} {bar}"),
                };
            }
            text + "\n"
        };
        let mut text = format!("Model: \"{}\"\n", self.name);
        text += &line(['┏', '┳', '┓'], '━');
        let titles: Vec<&str> = columns.iter().map(|column| column.0).collect();
        text += &cells('┃', &titles);
        text += &line(['┡', '╇', '┩'], '━');
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                text += &line(['├', '┼', '┤'], '─');
            }
            let parts: Vec<Vec<String>> = row
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| wrapped(cell, width))
                .collect();
            for place in 0..parts.iter().map(Vec::len).fold(0, usize::max) {
                let part = |lines: &Vec<String>| lines.get(place).cloned().unwrap_or_default();
                let line: Vec<String> = parts.iter().map(part).collect();
                let line: Vec<&str> = line.iter().map(String::as_str).collect();
                text += &cells('│', &line);
            }
        }
        text += &line(['└', '┴', '┘'], '─');
        self.totals(&mut text);
        text
    }

    /// Whether the model is more than layers one after the other.
    fn has_branches(&self) -> bool {
        let chained = |(place, call): (usize, &Call)| match call.inputs.as_slice() {
            [Source::Input(_)] => place == 0,
            [Source::Call { call, output: 0 }] => call + 1 == place,
            _ => false,
        };
        let chain = self.calls.iter().enumerate().all(chained);
        !(chain && self.calls.len() == self.nodes.len())
    }

    fn row(&self, place: usize, connections: bool) -> Vec<String> {
        let node = &self.nodes[place];
        let calls = || self.calls.iter().filter(|call| call.node == place);
        let name = format!("{} ({})", node.name, node.layer.class_name());
        let shapes = calls().next().map_or(&[][..], |call| &call.output_shapes);
        let mut row = match shapes {
            [] => vec![name, "?".to_owned(), "0 (unbuilt)".to_owned()],
            shapes => {
                let mut texts: Vec<String> = shapes.iter().map(shape_text).collect();
                let shape = match texts.len() {
                    1 => texts.swap_remove(0),
                    _ => format!("[{}]", texts.join(", ")),
                };
                vec![name, shape, grouped(node.count())]
            }
        };
        if connections {
            let sources = calls().flat_map(|call| &call.inputs);
            let origins = sources.filter_map(|source| {
                let (name, call, output, _) = self.history(source)?;
                Some(format!("{name}[{call}][{output}]"))
            });
            let origins: Vec<String> = origins.collect();
            row.push(match origins.is_empty() {
                true => "-".to_owned(),
                false => origins.join(", "),
            });
        }
        row
    }

    fn totals(&self, text: &mut String) {
        let parameters = self.count_parameters();
        let trainable = self.count_trainable_parameters();
        let optimizer = match &self.compiled {
            Some(compiled) if compiled.has_state => {
                let states = layout(&*compiled.optimizer, &self.trained());
                states.iter().map(StateSpec::count).sum()
            }
            _ => 0,
        };
        // Numbers have 4 bytes, but counts have 8.
        let counts = self.nodes.iter().flat_map(|node| &node.parameters);
        let wider = 4 * counts.filter(|p| p.dtype == DType::I64).count();
        let mut total = |name: &str, count: usize, bytes: usize| {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                " {name} params: {} ({})",
                grouped(count),
                memory(bytes)
            );
        };
        let (all, rest) = (parameters + optimizer, parameters - trainable);
        total("Total", all, 4 * all + wider);
        total("Trainable", trainable, 4 * trainable);
        total("Non-trainable", rest, 4 * rest + wider);
        if optimizer > 0 {
            total("Optimizer", optimizer, 4 * optimizer);
        }
    }
}

fn shape_text(shape: &Shape) -> String {
    let size = |dim: &Dim| match dim.as_fixed() {
        Some(size) => size.to_string(),
        None => "None".to_owned(),
    };
    let sizes: Vec<String> = shape.dims().iter().map(size).collect();
    match sizes.as_slice() {
        [only] => format!("({only},)"),
        sizes => format!("({})", sizes.join(", ")),
    }
}

/// A cell's words in lines of at most so many characters.
fn wrapped(cell: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in cell.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as `591.04 KB` (of 1024).
fn memory(bytes: usize) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "KB", "MB", "GB", "TB"] {
        if size < 1024.0 || unit == "TB" {
            return format!("{size:.2} {unit}");
        }
        size /= 1024.0;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use crate::golden::{list, load, text};
    use crate::prelude::*;

    fn article(frozen: bool) -> Sequential {
        let mut model = Sequential::new();
        model.add(Input::new([28, 28, 1]));
        let first = Conv2D::new(32, [3, 3]).activation("relu");
        model.add(first.trainable(!frozen));
        model.add(MaxPooling2D::new([2, 2]));
        model.add(Flatten::new());
        model.add(Dense::new(128).activation("relu"));
        model.add(Dense::new(10).activation("softmax"));
        model
    }

    fn with_statistics() -> Sequential {
        Sequential::from_layers([
            Input::new([6, 6, 2]).into(),
            Normalization::new().into(),
            Conv2D::new(4, [3, 3]).into(),
            BatchNormalization::new().into(),
            ActivityRegularization::new(0.1, 0.0).into(),
            PReLU::new().shared_axes([1, 2]).into(),
            Flatten::new().into(),
            Dense::new(3).into(),
            BatchNormalization::new().trainable(false),
        ])
    }

    #[test]
    fn tables_are_those_of_keras() {
        for case in list(&load("summary"), "cases") {
            let name = text(case, "name");
            let mut model = match name {
                "article" => article(false),
                "article_after_fit" => {
                    let mut model = article(false);
                    model
                        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
                        .unwrap();
                    let x = Tensor::zeros(&[1, 28, 28, 1], DType::F32).unwrap();
                    let y = Tensor::zeros(&[1], DType::F32).unwrap();
                    model.train_on_batch(&x, &y, None).unwrap();
                    model
                }
                "article_first_layer_frozen" => article(true),
                "statistics" | "statistics_after_fit" => {
                    let mut model = with_statistics();
                    model.compile("adam", "mse", Vec::<&str>::new()).unwrap();
                    if name == "statistics_after_fit" {
                        let x = Tensor::zeros(&[1, 6, 6, 2], DType::F32).unwrap();
                        let y = Tensor::zeros(&[1, 3], DType::F32).unwrap();
                        model.train_on_batch(&x, &y, None).unwrap();
                    }
                    model
                }
                "without_input" => {
                    let mut model = Sequential::new();
                    model.add(Dense::new(3));
                    model.add(Dense::new(2));
                    model
                }
                _ => continue,
            };
            if model.input_shape().is_some() {
                model.build().unwrap();
            }
            assert_eq!(model.summary().trim_end(), text(case, "text"), "{name}");
        }
    }
}
