use super::*;

fn chart(values: &[f64]) -> Chart {
    Chart {
        title: "Loss & more".to_owned(),
        x_label: "epoch".to_owned(),
        series: vec![Series {
            name: "a <run>".to_owned(),
            points: values
                .iter()
                .enumerate()
                .map(|(x, y)| (x as f64 + 1.0, *y))
                .collect(),
            color: 9,
            dashed: true,
        }],
        mark: Some((2.0, "best".to_owned())),
        may_be_logarithmic: true,
        size: (400.0, 200.0),
    }
}

/// Tags are closed in the order in which they were opened, and what has to be escaped is.
fn is_well_formed(document: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = document;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{document}");
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
        assert!(
            tag.matches('"').count().is_multiple_of(2) && !tag.contains('<'),
            "{tag}"
        );
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?} are open in {document}");
    for text in ["NaN", "inf", "Infinity"] {
        assert!(!document.contains(text), "{text} in {document}");
    }
}

#[test]
fn curves_hold_every_point_and_leave_gaps() {
    let svg = chart(&[2.0, f64::NAN, 0.01, 0.02]).to_svg();
    is_well_formed(&svg);
    assert!(svg.contains("Loss &amp; more") && svg.contains("a &lt;run&gt;"));
    let path = svg.split("class=\"line s1 dashed\" d=\"").nth(2).unwrap();
    let path = &path[..path.find('"').unwrap()];
    // A point, a gap, and a line of two points.
    assert_eq!(
        (path.matches('M').count(), path.matches('L').count()),
        (2, 1),
        "{path}"
    );
    assert_eq!(svg.matches("<circle").count(), 3);
}

#[test]
fn nothing_to_draw_is_drawn() {
    for values in [
        &[][..],
        &[f64::NAN],
        &[f64::INFINITY, 1.0],
        &[0.0],
        &[1e300, -1e300],
        &[1e-320, 5.0],
    ] {
        is_well_formed(&chart(values).to_svg());
    }
    is_well_formed(&Matrix::default().to_svg());
    is_well_formed(&Scatter::default().to_svg());
    is_well_formed(&PictureGrid::default().to_svg());
    is_well_formed(&sheet("none", 2, &[]));
}

#[test]
fn points_stand_higher_the_larger_they_are() {
    for logarithmic in [false, true] {
        let mut chart = chart(&[0.1, 1.0, 10.0, 100.0]);
        chart.may_be_logarithmic = logarithmic;
        let svg = chart.to_svg();
        let heights: Vec<f64> = svg
            .split("cy=\"")
            .skip(1)
            .map(|text| text[..text.find('"').unwrap()].parse().unwrap())
            .collect();
        assert!(heights.windows(2).all(|two| two[0] > two[1]), "{heights:?}");
        let apart: Vec<f64> = heights.windows(2).map(|two| two[0] - two[1]).collect();
        assert_eq!((apart[0] - apart[2]).abs() < 0.3, logarithmic, "{apart:?}");
    }
}

#[test]
fn a_matrix_counts_pairs() {
    let names = ["cat", "dog"].map(str::to_owned).to_vec();
    let pairs = [(0, 0), (0, 0), (0, 1), (1, 1), (7, 0)];
    let matrix = Matrix::count("animals", names, pairs.into_iter());
    assert_eq!(matrix.counts, [[2, 1], [0, 1]]);
    let svg = matrix.to_svg();
    is_well_formed(&svg);
    assert!(
        svg.contains("cat predicted as dog: 1 of 3 (33.3 %)"),
        "{svg}"
    );
}

#[test]
fn a_sheet_holds_its_panels_side_by_side() {
    let (one, two) = (chart(&[1.0]), chart(&[2.0]));
    let svg = sheet("both", 2, &[&one, &two, &one]);
    is_well_formed(&svg);
    let (width, height) = one.size();
    assert!(
        svg.contains(&format!("viewBox=\"0 0 {} {}\"", 2.0 * width, 2.0 * height)),
        "{svg}"
    );
    assert!(svg.contains(&format!("translate({width} 0)")));
}

#[test]
fn pictures_lie_in_the_document() {
    let picture = Picture {
        png: b"foobar".to_vec(),
        label: "7".to_owned(),
    };
    let grid = PictureGrid {
        title: "some".to_owned(),
        pixels: (28, 14),
        columns: 2,
        pictures: vec![picture; 3],
    };
    let svg = grid.to_svg();
    is_well_formed(&svg);
    assert_eq!(svg.matches("data:image/png;base64,Zm9vYmFy").count(), 3);
    assert!(svg.contains("width=\"56.0\" height=\"28.0\""), "{svg}");
}
