use super::layout::{Placed, place};
use crate::prelude::*;

/// Boxes of one row do not overlap, and no line passes through a box.
fn is_readable(widths: &[f64], edges: &[(usize, usize)], placed: &Placed) {
    let of_row = |row: usize| {
        let boxes = placed.boxes.iter().zip(widths);
        boxes.filter(move |((own, _), _)| *own == row)
    };
    for (a, ((row, middle), width)) in placed.boxes.iter().zip(widths).enumerate() {
        for (b, ((other_row, other), other_width)) in placed.boxes.iter().zip(widths).enumerate() {
            let apart = (middle - other).abs() >= (width + other_width) / 2.0 + 10.0;
            assert!(
                a == b || row != other_row || apart,
                "{a} and {b} overlap: {placed:?}"
            );
        }
        assert!(middle - width / 2.0 >= -1e-6 && middle + width / 2.0 <= placed.width + 1e-6);
    }
    for (&(from, to), passes) in edges.iter().zip(&placed.passes) {
        let (first, last) = (placed.boxes[from].0, placed.boxes[to].0);
        assert!(first < last, "a line goes up");
        assert_eq!(passes.len(), last - first - 1);
        for (row, pass) in (first + 1..last).zip(passes) {
            for ((_, middle), width) in of_row(row) {
                assert!(
                    (pass - middle).abs() > width / 2.0 + 5.0,
                    "{from} to {to}: {placed:?}"
                );
            }
        }
    }
}

#[test]
fn lines_pass_beside_boxes() {
    // A chain with residual connections, one of them long, a second input and two outputs.
    let edges = [
        (0, 1),
        (1, 2),
        (2, 3),
        (1, 3),
        (3, 4),
        (4, 5),
        (5, 6),
        (3, 6),
        (0, 6),
        (6, 7),
        (8, 7),
        (7, 9),
        (6, 10),
    ];
    let widths = [
        120.0, 200.0, 160.0, 120.0, 220.0, 120.0, 180.0, 240.0, 120.0, 150.0, 150.0,
    ];
    let placed = place(&widths, &edges);
    is_readable(&widths, &edges, &placed);
    assert_eq!(placed.rows, 9);
    // An input stands above what it goes to.
    assert_eq!(placed.boxes[8].0 + 1, placed.boxes[7].0);

    // Everything to everything.
    let edges: Vec<(usize, usize)> = (0..7)
        .flat_map(|to| (0..to).map(move |from| (from, to)))
        .collect();
    let widths = [130.0; 7];
    let placed = place(&widths, &edges);
    is_readable(&widths, &edges, &placed);
}

#[test]
fn a_chain_is_straight() {
    let widths = [120.0, 300.0, 140.0];
    let placed = place(&widths, &[(0, 1), (1, 2)]);
    assert_eq!(placed.boxes, [(0, 150.0), (1, 150.0), (2, 150.0)]);
    assert_eq!((placed.rows, placed.width), (3, 300.0));
}

#[test]
fn residual_blocks_stand_in_one_column() {
    // Blocks of boxes of many widths, each passed by a line.
    let mut edges = Vec::new();
    let mut widths = vec![120.0];
    for block in 0..12 {
        let start = widths.len() - 1;
        for layer in 0..4 {
            edges.push((widths.len() - 1, widths.len()));
            widths.push(130.0 + f64::from(block * 7 + layer * 31 % 90));
        }
        edges.push((start, widths.len() - 1));
    }
    let placed = place(&widths, &edges);
    is_readable(&widths, &edges, &placed);
    let middle = placed.boxes[0].1;
    let straight = |(_, own): &(usize, f64)| (own - middle).abs() < 1e-9;
    assert!(placed.boxes.iter().all(straight), "{placed:?}");
    // Lines pass close to their own block, not to the widest one.
    for (&(from, to), passes) in edges.iter().zip(&placed.passes) {
        let widest = widths[from + 1..to].iter().copied().fold(0.0, f64::max);
        let near = |pass: &f64| (pass - middle).abs() < widest / 2.0 + 40.0;
        assert!(passes.iter().all(near), "{from} to {to}: {passes:?}");
    }
}

#[test]
fn a_branch_stands_in_the_middle_above_its_ends() {
    let placed = place(&[100.0, 150.0, 200.0], &[(0, 1), (0, 2)]);
    let [top, left, right] = [0, 1, 2].map(|place| placed.boxes[place].1);
    assert!((top - (left + right) / 2.0).abs() < 0.1, "{placed:?}");
}

#[test]
fn branches_do_not_cross_without_need() {
    // Two branches that are named the other way round below.
    let edges = [(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)];
    let placed = place(&[100.0; 6], &edges);
    let left = |a: usize, b: usize| placed.boxes[a].1 < placed.boxes[b].1;
    assert_eq!(left(1, 2), left(4, 3), "{placed:?}");
}

#[test]
fn a_picture_says_what_the_model_is() {
    let inside = Symbol::input(Input::new([3]).name("inside"));
    let low = Dense::new(2).name("low").apply(&inside);
    let high = Dense::new(3).name("high").apply(&inside);
    let inner = Model::new(inside, [low, high]).unwrap();
    let (a, b) = (
        Symbol::input(Input::new([3]).name("a")),
        Symbol::input(Input::new([3]).name("b<c")),
    );
    let shared = SharedLayer::new(inner);
    let first = shared.apply_all(&a);
    let second = shared.apply_all(&b);
    let sum = &first[1] + &second[1];
    let head = Dense::new(1).name("head").trainable(false).apply(&sum);
    let mut model = Model::new([a, b], [head, second[0].clone()]).unwrap();
    let error = model.to_svg().unwrap_err().to_string();
    assert!(error.contains("to_svg"), "{error}");
    model.build().unwrap();
    let svg = model.to_svg().unwrap();
    for part in [
        "<title>functional</title>",
        ">a</tspan> <tspan class=\"type\" dx=\"5\">InputLayer<",
        ">b&lt;c<",
        ">functional</tspan> <tspan class=\"type\" dx=\"5\">Functional<",
        ">2, 3  ·  20 parameters<",
        ">2, 3  ·  20 parameters, shared<",
        ">1  ·  4 parameters, frozen<",
        ">head</text>",
        ">functional</text>",
        "class=\"box merging\"",
    ] {
        assert!(svg.contains(part), "{part} in {svg}");
    }
    assert_eq!(svg.matches("class=\"box model thick\"").count(), 2);
    // Lines between boxes, and one for each output.
    assert_eq!(svg.matches("class=\"line\"").count(), 5 + 2);
    assert_eq!(svg.matches("<rect").count(), 6);

    let mut chain = Sequential::from_layers([Input::new([4]).into(), Dense::new(2).into()]);
    chain.build().unwrap();
    let svg = chain.to_svg().unwrap();
    assert_eq!(
        (
            svg.matches("<rect").count(),
            svg.matches("class=\"line\"").count()
        ),
        (2, 2)
    );
}
