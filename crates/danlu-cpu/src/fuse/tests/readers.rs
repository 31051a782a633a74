//! Passes that read the same large state become one.

use super::*;

const LARGE: usize = 70_000;

/// Two updates that share nothing but what they read: a step along the sign of a mixture, and the new mixture.
fn lion(length: usize) -> Program {
    let graph = Graph::new();
    let state = |name: &str| graph.state(name, &[length], DType::F32).unwrap();
    let [w, m, g] = ["w", "m", "g"].map(state);
    let mix = |share: f64| {
        let kept = m.multiply_scalar(share).unwrap();
        kept.add(&g.multiply_scalar(1.0 - share).unwrap()).unwrap()
    };
    let step = mix(0.9).sign().unwrap().multiply_scalar(0.01).unwrap();
    let (w_next, m_next) = (w.subtract(&step).unwrap(), mix(0.99).flush_tiny().unwrap());
    Program::new(&graph, &[], &[], &[("w", &w_next), ("m", &m_next)]).unwrap()
}

/// Two passes over `g`, of which the second needs a sum of what the first makes.
fn in_two_passes() -> Program {
    let graph = Graph::new();
    let state = |name: &str| graph.state(name, &[LARGE], DType::F32).unwrap();
    let [w, m, g] = ["w", "m", "g"].map(state);
    let m_next = m.add(&g.square().unwrap()).unwrap();
    let size = m_next.mean_all().unwrap();
    let w_next = w.subtract(&g.multiply(&size).unwrap()).unwrap();
    Program::new(&graph, &[], &[], &[("w", &w_next), ("m", &m_next)]).unwrap()
}

/// Two states that take each other's values: whoever writes first must not hide what the other still reads.
fn crossed() -> Program {
    let graph = Graph::new();
    let state = |name: &str| graph.state(name, &[LARGE], DType::F32).unwrap();
    let [w, m, g] = ["w", "m", "g"].map(state);
    let w_next = m.add(&g).unwrap();
    let m_next = w.multiply(&g).unwrap();
    Program::new(&graph, &[], &[], &[("w", &w_next), ("m", &m_next)]).unwrap()
}

fn names(program: &Program, length: usize) -> Vec<String> {
    let whole = [length];
    let states: [(&str, &[usize]); 3] = [("w", &whole), ("m", &whole), ("g", &whole)];
    let expected = reference(program, &states, &[], 1);
    let mut names = Vec::new();
    for isa in Isa::available() {
        let [one, two, three] =
            [1, 2, 3].map(|threads| run(program, &states, &[], 1, isa, threads));
        assert_close(&one.1, &expected, 1e-5, &format!("{isa}"));
        assert!(
            one == two && one == three,
            "{isa}: other bits than 1 thread"
        );
        names = one.0;
    }
    names
}

#[test]
fn passes_over_the_same_large_state_are_one() {
    assert_eq!(names(&lion(LARGE), LARGE).len(), 1);
    assert_eq!(names(&crossed(), LARGE).len(), 1);
}

#[test]
fn they_stay_apart_where_something_stands_between_them_or_nothing_is_saved() {
    assert!(names(&in_two_passes(), LARGE).len() >= 3);
    assert_eq!(names(&lion(100), 100).len(), 2);
}
