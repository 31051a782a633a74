//! Random numbers: bit for bit those of the counter.

use danlu_graph::operations::normal::normal_at;
use danlu_graph::operations::random::{key, uniform_at};
use danlu_graph::{Bindings, Executor, Shape, Tensor};
use proptest::prelude::*;

use crate::harness::*;

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn random_numbers_are_those_of_the_counter(
        batch in prop_oneof![1 => Just(0usize), 9 => 1usize..9],
        example in prop::collection::vec(prop_oneof![4 => 1usize..5, 1 => size(), 1 => Just(1025)], 0..3),
        per_example in any::<bool>(),
        stream in any::<u64>(),
        counters in any::<[i64; 3]>(),
        probability in 0.0..1.0,
    ) {
        let dims: Vec<usize> = [batch].into_iter().chain(example).collect();
        let size: usize = dims[1..].iter().product();
        let shape = if per_example { Shape::batch_of(&dims[1..]) } else { Shape::from(dims.as_slice()) };
        let inputs: Vec<Tensor> = counters.iter().map(|&number| Tensor::scalar_i64(number)).collect();
        let scalars = vec![Shape::scalar(); 3];
        let case = Case::with_shapes(scalars, inputs, Bindings::batch(batch), |graph, x| {
            Ok(vec![
                graph.random_uniform(&shape, stream, &x[0], &x[1], &x[2])?,
                graph.bernoulli(probability, &shape, stream, &x[0], &x[1], &x[2])?,
                graph.random_normal(&shape, stream, &x[0], &x[1], &x[2])?,
            ])
        }).unwrap();
        let [seed, step, first] = counters.map(i64::cast_unsigned);
        let (mut expected, mut normal) = (Vec::new(), Vec::new());
        for index in 0..batch * size {
            let (row, element) = if per_example { (index / size, index % size) } else { (0, index) };
            let (key, example) = (key(seed, stream), first.wrapping_add(row as u64));
            expected.push(uniform_at(key, step, example, element as u64));
            normal.push(normal_at(key, step, example, element as u64));
        }
        for isa in danlu_cpu::Isa::available() {
            for threads in [1, 2, 3] {
                let mut executor = executor(isa, threads);
                let found = case.run(&mut executor, 1).unwrap().remove(0).0;
                prop_assert_eq!(found[0].as_f32().unwrap(), &expected[..], "{}", executor.describe());
                let truth: Vec<bool> = expected.iter().map(|&x| x < probability as f32).collect();
                prop_assert_eq!(found[1].as_bool().unwrap(), &truth[..]);
                prop_assert_eq!(found[2].as_f32().unwrap(), &normal[..]);
            }
        }
    }
}
