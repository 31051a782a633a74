//! Rewrites: what a program computes stays the same, bit for bit; each of them fires; a second round finds nothing.

mod common;

use common::{Random, cases, evaluate, spread};
use danlu_graph::operations::{Pad, Unary, UnaryKind};
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::rewrite::{
    CommonSubexpressions, DeadCode, FoldConstants, Rewrite, Simplify, optimize,
};
use danlu_graph::{
    BATCH, Bindings, DType, Dim, Graph, Program, Result, Shape, Tensor, Value, gradients,
};
use proptest::prelude::*;

/// A random program: values of rank 2, all sums and products of multiples of 1/4, so that folding (which rounds to
/// `f32`) is exact; its outputs, a gradient, and an update of state.
fn random_program(seed: u64, length: usize) -> Result<Program> {
    let mut random = Random(seed);
    let graph = Graph::new();
    let square = Shape::new([3, 3]);
    let x = graph.input("x", Shape::new([Dim::batch(), Dim::fixed(3)]), DType::F32)?;
    let y = graph.input("y", square.clone(), DType::F32)?;
    let state = graph.state("s", &[3, 3], DType::F32)?;
    let mut values = vec![x.clone(), y.clone(), state.clone()];
    for number in [0.0, -0.0, 1.0, 0.5, -2.0] {
        values.push(graph.scalar(number, DType::F32)?.broadcast_to(&square)?);
    }
    let quarters = (0..9).map(|place| (place as f32 - 4.0) / 4.0).collect();
    values.push(graph.constant(Tensor::from_f32(&[3, 3], quarters)?)?);
    for _ in 0..length {
        let a = random.pick(&values).clone();
        let b = random.pick(&values).clone();
        let rank = a.shape().rank() as isize;
        let mut draw = || match random.below(18) {
            0 => a.add(&b),
            1 => a.subtract(&b),
            2 => a.multiply(&b),
            3 => a.maximum(&b),
            4 => a.negate(),
            5 => a.negate()?.negate(),
            6 => a.transpose(&[1, 0]),
            7 => a.transpose(&[1, 0])?.transpose(&[1, 0]),
            8 => a.matmul_with(&b, random.chance(), random.chance()),
            9 => a.transpose(&[1, 0])?.matmul(&b.transpose(&[1, 0])?),
            10 => a.reshape(&Shape::from(vec![a.shape().element_count()])),
            11 => a.sum(&[random.below(rank.max(1) as usize) as isize], true),
            12 => a.multiply(&graph.scalar(1.0, DType::F32)?),
            13 => a.subtract(&graph.scalar(0.0, DType::F32)?),
            14 => a.relu()?.stop_gradient(),
            15 => a.greater(&b)?.select(&a, &b),
            16 if a.shape().as_fixed().is_some() => graph.concatenate(&[&a], 0),
            _ => a.slice(
                &vec![0; rank as usize],
                a.shape().dims(),
                &vec![1; rank as usize],
            ),
        };
        let made: Result<Value> = draw();
        // Not every pair of shapes fits, and movements of rank 2 do not take flat values: those draws are passed over.
        if let Ok(value) = made {
            values.push(value);
        }
    }
    let last = values.last().unwrap().clone();
    let slope = gradients(&last, &[&x, &state])?;
    let step = state.subtract(&slope[1].multiply_scalar(0.5)?)?;
    let middle = random.pick(&values).clone();
    Program::new(
        &graph,
        &[&x, &y],
        &[("last", &last), ("middle", &middle), ("slope", &slope[0])],
        &[("s", &step)],
    )
}

/// Elements that are multiples of 1/4, or also zeros of both signs, infinities and NaN.
fn elements(count: usize, salt: u64, special: bool) -> Vec<f64> {
    let mut random = Random(salt);
    let strange = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    spread(count, -2.0, 2.0, salt)
        .into_iter()
        .map(|x| {
            if special && random.below(4) == 0 {
                *random.pick(&strange)
            } else {
                (x * 4.0).round() / 4.0
            }
        })
        .collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    // Which NaN comes out is nobody's business.
    let canonical = |x: &f64| if x.is_nan() { f64::NAN } else { *x };
    values.iter().map(canonical).map(f64::to_bits).collect()
}

/// Outputs and updates of a program.
fn results(program: &Program, bindings: &Bindings, salt: u64, special: bool) -> Vec<Array> {
    let mut executor = ReferenceExecutor::new();
    for (name, value_type) in program.states() {
        let shape = value_type.shape.as_fixed().unwrap();
        let data = elements(shape.iter().product(), salt, special);
        executor.set_state(&name, Array::new(shape, value_type.dtype, data));
    }
    let inputs: Vec<Array> = (1..)
        .zip(program.inputs())
        .map(|(place, spec)| {
            let shape = spec.value_type.shape.evaluate(bindings).unwrap();
            let data = elements(shape.iter().product(), salt + place, special);
            Array::new(shape, spec.value_type.dtype, data)
        })
        .collect();
    let mut all = evaluate(&executor, program, bindings, &inputs).unwrap();
    let values = executor.evaluate(program, bindings, &inputs).unwrap();
    all.extend(
        program
            .updates()
            .iter()
            .map(|update| values[update.node].clone()),
    );
    all
}

fn assert_same(before: &Program, after: &Program, bindings: &Bindings, salt: u64, special: bool) {
    assert_eq!(before.inputs(), after.inputs());
    let pairs = results(before, bindings, salt, special)
        .into_iter()
        .zip(results(after, bindings, salt, special));
    for (place, (old, new)) in pairs.enumerate() {
        assert_eq!((&old.shape, old.dtype), (&new.shape, new.dtype));
        assert_eq!(
            bits(&old.data),
            bits(&new.data),
            "result {place}\nbefore\n{before}\nafter\n{after}"
        );
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn optimizing_changes_no_result(
        seed in any::<u64>(),
        length in 1usize..14,
        batch in 0usize..4,
        salt in 0u64..1000,
        special in any::<bool>(),
    ) {
        let program = random_program(seed, length).unwrap();
        let mut optimized = program.clone();
        optimize(&mut optimized).unwrap();
        prop_assert!(optimized.nodes().len() <= program.nodes().len());
        assert_same(&program, &optimized, &Bindings::new().with(BATCH, batch), salt, special);
        for pass in [&Simplify as &dyn Rewrite, &FoldConstants, &CommonSubexpressions, &DeadCode] {
            let mut again = optimized.clone();
            prop_assert_eq!(pass.apply(&mut again).unwrap(), 0, "{} after optimize", pass.name());
            prop_assert_eq!(again.to_string(), optimized.to_string());
        }
    }

    #[test]
    fn each_rewrite_alone_changes_no_result(
        seed in any::<u64>(),
        length in 1usize..14,
        which in 0usize..4,
        salt in 0u64..1000,
        special in any::<bool>(),
    ) {
        let program = random_program(seed, length).unwrap();
        let mut changed = program.clone();
        let passes = [&Simplify as &dyn Rewrite, &FoldConstants, &CommonSubexpressions, &DeadCode];
        passes[which].apply(&mut changed).unwrap();
        assert_same(&program, &changed, &Bindings::batch(2), salt, special);
    }
}

/// The operations of the optimized program of what `build` makes of an input `(batch, 3)`.
fn optimized(dtype: DType, build: impl Fn(&Graph, &Value) -> Result<Value>) -> Vec<String> {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[3]), dtype).unwrap();
    let y = build(&graph, &x).unwrap();
    let mut program = Program::new(&graph, &[&x], &[("y", &y)], &[]).unwrap();
    let before = program.clone();
    optimize(&mut program).unwrap();
    if dtype == DType::F32 {
        assert_same(&before, &program, &Bindings::batch(2), 3, true);
    }
    let names = program.nodes().iter().map(|node| node.operation.name());
    names.collect()
}

#[test]
fn what_only_repeats_its_input_goes() {
    type Build = fn(&Graph, &Value) -> Result<Value>;
    let builds: [(&str, Build); 15] = [
        ("x * 1", |_, x| x.multiply_scalar(1.0)),
        ("1 * x", |graph, x| {
            graph.scalar(1.0, DType::F32)?.multiply(x)
        }),
        ("x / 1", |graph, x| {
            x.divide(&graph.scalar(1.0, DType::F32)?)
        }),
        ("x - 0", |graph, x| {
            x.subtract(&graph.scalar(0.0, DType::F32)?)
        }),
        ("x + -0", |_, x| x.add_scalar(-0.0)),
        ("x - broadcast of 0", |graph, x| {
            x.subtract(&graph.scalar(0.0, DType::F32)?.broadcast_to(&x.shape())?)
        }),
        ("-(-x)", |_, x| x.negate()?.negate()),
        ("stop_gradient", |_, x| x.stop_gradient()),
        ("whole slice", |_, x| {
            x.slice(&[0, 0], x.shape().dims(), &[1, 1])
        }),
        ("pad by nothing", |_, x| x.pad(&[0, 0], &[0, 0], 7.0)),
        ("transpose back", |_, x| {
            x.transpose(&[1, 0])?.transpose(&[1, 0])
        }),
        ("transpose by nothing", |_, x| x.transpose(&[0, 1])),
        ("reshape back", |_, x| {
            x.reshape(&Shape::from(vec![x.shape().element_count()]))?
                .reshape(&x.shape())
        }),
        ("concatenation of one", |graph, x| {
            graph.concatenate(&[x], 1)
        }),
        ("all of them", |graph, x| {
            graph
                .concatenate(&[&x.negate()?.multiply_scalar(1.0)?.negate()?], 0)?
                .stop_gradient()?
                .add_scalar(-0.0)
        }),
    ];
    for (what, build) in builds {
        assert_eq!(optimized(DType::F32, build), ["input"], "{what}");
    }
}

#[test]
fn what_would_change_a_zero_a_shape_or_a_dtype_stays() {
    // -0 + 0 is 0.
    assert!(optimized(DType::F32, |_, x| x.add_scalar(0.0)).contains(&"add".to_owned()));
    // 0 - x is not x, and x * 0 is NaN for an infinite x.
    assert!(optimized(DType::F32, |_, x| x.multiply_scalar(0.0)).contains(&"multiply".to_owned()));
    let wider = optimized(DType::F32, |graph, x| {
        x.multiply(
            &graph
                .scalar(1.0, DType::F32)?
                .broadcast_to(&Shape::new([2, 1, 1]))?,
        )
    });
    assert!(wider.contains(&"multiply".to_owned()));
    // Through float16 and back rounds.
    let rounded = optimized(DType::F32, |_, x| x.cast(DType::F16)?.cast(DType::F32));
    assert_eq!(rounded, ["input", "cast", "cast"]);
}

#[test]
fn movements_join() {
    let joined = optimized(DType::F32, |_, x| {
        x.reshape(&Shape::batch_of(&[1, 3]))?
            .reshape(&Shape::batch_of(&[3, 1]))
    });
    assert_eq!(joined, ["input", "reshape"]);
    let joined = optimized(DType::F32, |_, x| {
        x.reshape(&Shape::batch_of(&[1, 3]))?
            .transpose(&[1, 2, 0])?
            .transpose(&[0, 2, 1])
    });
    assert_eq!(joined, ["input", "reshape", "transpose"]);
    let product = optimized(DType::F32, |_, x| {
        x.transpose(&[1, 0])?
            .matmul(&x.transpose(&[1, 0])?.transpose(&[1, 0])?)
    });
    assert_eq!(product, ["input", "matmul"]);
    let repeated = optimized(DType::F32, |graph, x| {
        x.multiply(&graph.scalar(2.0, DType::F32)?.broadcast_to(&x.shape())?)
    });
    assert_eq!(repeated, ["input", "constant", "multiply"]);
}

#[test]
fn a_power_of_two_goes_to_the_smaller_factor() {
    let count = |names: &[String], name: &str| names.iter().filter(|own| *own == name).count();
    let product = |number: f64, rank: usize| {
        let graph = Graph::new();
        let x = graph.input("x", Shape::batch_of(&[3]), DType::F32).unwrap();
        let small = graph
            .input("f", Shape::from(&[3][..rank]), DType::F32)
            .unwrap();
        let y = small.multiply(&x.multiply_scalar(number).unwrap()).unwrap();
        let mut program = Program::new(&graph, &[&x, &small], &[("y", &y)], &[]).unwrap();
        optimize(&mut program).unwrap();
        // Which of the two products is of the small factor alone.
        program
            .nodes()
            .iter()
            .filter(|node| node.operation.name() == "multiply")
            .map(|node| node.value_type.shape.rank())
            .collect::<Vec<usize>>()
    };
    assert_eq!(product(2.0, 1), [1, 2]);
    assert_eq!(product(-0.5, 1), [1, 2]);
    // Another number would round otherwise, and a scalar is read as fast as a product.
    assert_eq!(product(3.0, 1), [2, 2]);
    assert_eq!(product(2.0, 0), [2, 2]);
    let names = optimized(DType::F32, |_, x| x.multiply_scalar(2.0)?.multiply(x));
    assert_eq!(count(&names, "multiply"), 2);
}

#[test]
fn equal_nodes_become_one() {
    let merged = optimized(DType::F32, |_, x| {
        x.exp()?.add(&x.exp()?)?.multiply(&x.exp()?.add(&x.exp()?)?)
    });
    assert_eq!(merged, ["input", "exp", "add", "multiply"]);
    // What differs in an attribute, if only in the sign of a zero, stays two.
    let apart = optimized(DType::F32, |graph, x| {
        let pad = |value: f64| Pad {
            low: vec![0, 1],
            high: vec![0, 0],
            interior: vec![0, 0],
            value,
        };
        let one = graph.add(pad(0.0).into(), &[x])?.reciprocal()?;
        one.add(&graph.add(pad(-0.0).into(), &[x])?.reciprocal()?)
    });
    assert_eq!(apart.iter().filter(|name| *name == "pad").count(), 2);
    let merged = optimized(DType::F32, |_, x| {
        x.pad(&[0, 1], &[0, 0], f64::NAN)?
            .add(&x.pad(&[0, 1], &[0, 0], f64::NAN)?)
    });
    assert_eq!(merged, ["input", "pad", "add"]);
}

#[test]
fn constants_fold() {
    let folded = optimized(DType::F32, |graph, x| {
        let two = graph.scalar(2.0, DType::F32)?;
        x.multiply(
            &two.square()?
                .add(&two)?
                .reciprocal()?
                .negate()?
                .exp()?
                .floor()?,
        )
    });
    assert_eq!(folded, ["input", "constant", "multiply"]);
}

#[test]
fn folding_leaves_what_is_too_large_or_not_exact() {
    let graph = Graph::new();
    let huge = Shape::new([1usize << 40, 1 << 40]);
    let wide = graph
        .scalar(1.0, DType::F32)
        .and_then(|one| one.broadcast_to(&huge)?.square())
        .unwrap();
    // 2^53 + 1 is no f64.
    let odd = graph.constant(Tensor::scalar_i64((1 << 53) + 1)).unwrap();
    let kept = odd.reshape(&Shape::new([1])).unwrap();
    let even = graph.constant(Tensor::scalar_i64(i64::MAX / 4)).unwrap();
    let sum = even.add(&even).unwrap();
    let small = graph.constant(Tensor::scalar_i64(20)).unwrap();
    let folds = small.add(&small).unwrap();
    // 2^64 + 2^33 + 1 wraps around to 2^33 + 1, but the reference rounds it before.
    let odd_32 = graph.constant(Tensor::scalar_i64((1 << 32) + 1)).unwrap();
    let product = odd_32.multiply(&odd_32).unwrap();
    let outputs = [
        ("wide", &wide),
        ("kept", &kept),
        ("sum", &sum),
        ("folds", &folds),
        ("product", &product),
    ];
    let mut program = Program::new(&graph, &[], &outputs, &[]).unwrap();
    optimize(&mut program).unwrap();
    let operations: Vec<String> = program
        .outputs()
        .iter()
        .map(|output| program.nodes()[output.node].operation.name())
        .collect();
    assert_eq!(
        operations,
        ["square", "reshape", "add", "constant", "multiply"]
    );
}

#[test]
fn dead_code_goes_and_live_code_stays() {
    let graph = Graph::new();
    let x = graph.input("x", Shape::new([2]), DType::F32).unwrap();
    let mut last = x.clone();
    for _ in 0..3 {
        last = graph
            .add(
                Unary {
                    kind: UnaryKind::Exp,
                }
                .into(),
                &[&last],
            )
            .unwrap();
        last.square().unwrap();
    }
    let program = Program::new(&graph, &[&x], &[("y", &last)], &[]).unwrap();
    let names: Vec<String> = program.nodes().iter().map(|n| n.operation.name()).collect();
    assert_eq!(names, ["input", "exp", "exp", "exp"]);
    let mut same = program.clone();
    assert_eq!(DeadCode.apply(&mut same).unwrap(), 0);
}
