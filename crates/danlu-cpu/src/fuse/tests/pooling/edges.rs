//! Where somebody looks at what a pooling would hide, and shapes that are not the usual ones.

use super::*;

/// Steps of the program that computes `outputs` from what a block pools and from its pooling; the results are right.
fn steps(block: Block, outputs: impl Fn(&Value, &Value) -> Result<Vec<Value>>) -> Vec<String> {
    let network = Network {
        image: [9, 7, 3],
        blocks: &[block],
    };
    let graph = Graph::new();
    let (x, y, activated) = network.forward(&graph).unwrap();
    let outputs = outputs(&activated[0], &y).unwrap();
    let outputs: Vec<(&str, &Value)> = outputs.iter().map(|value| ("out", value)).collect();
    network.check(&Program::new(&graph, &[&x], &outputs, &[]).unwrap(), 4)
}

#[test]
fn nothing_is_hidden_that_somebody_looks_at() {
    let apart = [": conv2d+add+relu", ": max_pool2d"];
    let output = steps(SEEN, |activated, y| Ok(vec![activated.clone(), y.clone()]));
    assert_eq!(output, apart);
    // Another reader, of another shape or in the pass itself.
    let reader = steps(SEEN, |activated, y| {
        Ok(vec![activated.mean(&[1, 2], false)?, y.clone()])
    });
    assert!(reader.contains(&apart[0].to_owned()), "{reader:?}");
    assert!(reader.contains(&apart[1].to_owned()), "{reader:?}");
    let reader = steps(SEEN, |activated, y| Ok(vec![activated.exp()?, y.clone()]));
    assert_eq!(reader, [": conv2d+add+relu+exp", ": max_pool2d"]);
    let twice = steps(SEEN, |activated, y| {
        let other = activated.max_pool2d(window(3, 3, [0, 0]))?;
        Ok(vec![other, y.clone()])
    });
    assert_eq!(twice, [": conv2d+add+relu", ": max_pool2d", ": max_pool2d"]);
    let flat = steps(SEEN, |activated, y| {
        let flat = activated.reshape(&Shape::batch_of(&[9 * 7 * 17]))?;
        Ok(vec![flat, y.clone()])
    });
    assert_eq!(flat, apart);
}

/// A value before the one that is pooled is written by the same step.
#[test]
fn who_looks_further_in_does_not_stop_the_pooling() {
    let network = Network {
        image: [9, 7, 3],
        blocks: &[Block {
            activation: "none",
            ..SEEN
        }],
    };
    let graph = Graph::new();
    let (x, _, sums) = network.forward(&graph).unwrap();
    let pooled = sums[0].relu().unwrap().max_pool2d(POOLS[0]).unwrap();
    let outputs = [("sum", &sums[0]), ("pooled", &pooled)];
    let program = Program::new(&graph, &[&x], &outputs, &[]).unwrap();
    let names = network.check(&program, 4);
    assert_eq!(names, [": conv2d+add+relu+max_pool2d"]);
}

#[test]
fn windows_that_overlap_or_begin_in_the_padding_are_pooled_apart() {
    for pool in [
        window(3, 2, [0, 0]),
        window(3, 3, [1, 1]),
        window(2, 2, [1, 0]),
    ] {
        let block = Block { pool, ..SEEN };
        let names = steps(block, |_, y| Ok(vec![y.clone()]));
        assert_eq!(names, [": conv2d+add+relu", ": max_pool2d"], "{pool:?}");
        let network = Network {
            image: [9, 7, 3],
            blocks: &[block, block],
        };
        network.check(&network.training().unwrap(), 3);
    }
}

/// Depthwise, and in groups of channels.
#[test]
fn grouped_convolutions_are_pooled_too() {
    for (channels, filters, groups) in [(5, 5, 5), (33, 33, 33), (6, 10, 2), (4, 40, 4)] {
        for (index, pool) in POOLS.into_iter().enumerate() {
            let block = Block {
                filters,
                groups,
                padding: index % 2,
                pool,
                ..SEEN
            };
            let image = [[9, 7, channels], [20, 31, channels]][index / 2];
            let network = Network {
                image,
                blocks: &[block],
            };
            let names = network.check(&network.prediction(), 3);
            assert_eq!(names, [format!(": {}", network.fused(0))], "{network:?}");
            network.check(&network.training().unwrap(), 3);
        }
    }
}

/// Up to 256 places fit into a byte; larger windows go without.
#[test]
fn large_windows_have_places_as_far_as_a_byte_counts() {
    for (size, noted) in [(15, true), (16, true), (17, false)] {
        let block = Block {
            pool: window(size, size, [0, 1]),
            ..SEEN
        };
        let network = Network {
            image: [35, 33, 3],
            blocks: &[block],
        };
        let names = network.check(&network.training().unwrap(), 2);
        let fused = names.contains(&format!(": {}", network.fused(0)));
        assert_eq!(fused, noted, "{size}: {names:?}");
    }
}

/// A pooling whose result becomes a state is written there, and its places stand elsewhere.
#[test]
fn a_pooling_may_become_a_state() {
    for activation in ["relu", "none"] {
        let graph = Graph::new();
        let build = || -> Result<Program> {
            let x = graph.input("x", Shape::new([3, 8, 9, 2]), DType::F32)?;
            let k = graph.state("k", &[3, 3, 2, 5], DType::F32)?;
            let options = ConvolutionOptions {
                strides: [1, 1],
                dilations: [1, 1],
                padding: [[1, 1]; 2],
                groups: 1,
            };
            let y = x.conv2d(&k, options)?;
            let y = if activation == "relu" { y.relu()? } else { y };
            let y = y.max_pool2d(POOLS[0])?;
            let weight = graph.state("weight", &[3, 4, 4, 5], DType::F32)?;
            let slopes = gradients(&y.multiply(&weight)?.sum_all()?, &[&x, &k])?;
            let outputs = [("dx", &slopes[0]), ("dk", &slopes[1])];
            Program::new(&graph, &[&x], &outputs, &[("last", &y)])
        };
        let program = build().unwrap();
        let states: [(&str, &[usize]); 3] = [
            ("k", &[3, 3, 2, 5]),
            ("weight", &[3, 4, 4, 5]),
            ("last", &[3, 4, 4, 5]),
        ];
        let inputs: [&[usize]; 1] = [&[3, 8, 9, 2]];
        let expected = reference(&program, &states, &inputs, 3);
        for isa in Isa::available() {
            let (names, found) = run(&program, &states, &inputs, 3, isa, 2);
            assert!(names[0].ends_with("max_pool2d"), "{names:?}");
            assert_close(&found, &expected, TOLERANCE, activation);
        }
    }
}

/// Of equal elements the first is the largest, and gets the gradient.
#[test]
fn the_first_of_equals_gets_the_gradient() {
    for activation in ["none", "relu"] {
        for pool in POOLS {
            let block = Block {
                activation,
                pool,
                ..SEEN
            };
            let network = Network {
                image: [9, 11, 2],
                blocks: &[block],
            };
            let graph = Graph::new();
            let (x, y, _) = network.forward(&graph).unwrap();
            // A loss whose gradient is whole: the sum of squares, halved.
            let loss = y
                .square()
                .unwrap()
                .sum_all()
                .unwrap()
                .multiply_scalar(0.5)
                .unwrap();
            let states = network.states();
            let state = |index: usize| {
                graph
                    .state(states[index].0, &states[index].1, DType::F32)
                    .unwrap()
            };
            let slopes = gradients(&loss, &[&x, &state(0), &state(1)]).unwrap();
            let outputs: Vec<(&str, &Value)> =
                slopes.iter().map(|slope| ("slope", slope)).collect();
            let program = Program::new(&graph, &[&x], &outputs, &[]).unwrap();
            let images = whole(&[3, 9, 11, 2], 50);
            let expected = exact(
                &mut ReferenceExecutor::new(),
                &program,
                &network.states(),
                &images,
            );
            for isa in Isa::available() {
                let found = exact(&mut executor(isa, 2), &program, &network.states(), &images);
                assert_close(&found, &expected, 0.0, &format!("{isa}, {block:?}"));
            }
        }
    }
}

/// NaN is the largest of a window; infinities are numbers.
#[test]
fn what_is_no_number_goes_through_as_in_the_reference() {
    for activation in ["none", "relu"] {
        for pool in POOLS {
            let block = Block {
                activation,
                pool,
                kernel: 1,
                padding: 0,
                filters: 19,
                ..SEEN
            };
            let network = Network {
                image: [9, 11, 2],
                blocks: &[block],
            };
            let mut images = whole(&[4, 9, 11, 2], 51);
            let strange = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            for (place, value) in images.as_f32_mut().unwrap().iter_mut().enumerate() {
                if place % 7 == 0 {
                    *value = strange[place / 7 % 3];
                }
            }
            let program = network.prediction();
            let bits = |outputs: &[Tensor]| -> Vec<u64> {
                // Which NaN it is, and the sign of a zero, do not count.
                let canonical = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
                outputs[0]
                    .to_f64()
                    .into_iter()
                    .map(|x| canonical(x).to_bits())
                    .collect()
            };
            let expected = exact(
                &mut ReferenceExecutor::new(),
                &program,
                &network.states(),
                &images,
            );
            for isa in Isa::available() {
                let found = exact(&mut executor(isa, 2), &program, &network.states(), &images);
                assert_eq!(bits(&found), bits(&expected), "{isa}, {block:?}");
            }
        }
    }
}
