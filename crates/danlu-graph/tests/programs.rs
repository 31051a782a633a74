//! Programs: what they take, give and update; what is refused; how they read; and the contract of an executor.

use std::sync::Arc;

use danlu_graph::executor::output_tensors;
use danlu_graph::operations::{Custom, CustomOperation, PoolingWindow};
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{
    Bindings, DType, Dim, Error, Executor, Graph, Program, Result, Shape, Tensor, Value, ValueType,
    gradients, gradients_from,
};

fn vector(values: &[f32]) -> Tensor {
    Tensor::from_f32(&[values.len()], values.to_vec()).unwrap()
}

#[test]
fn inputs_come_in_the_order_that_the_program_names() -> Result<()> {
    let graph = Graph::new();
    let a = graph.input("a", Shape::new([1]), DType::F32)?;
    let unused = graph.input("unused", Shape::new([2]), DType::F32)?;
    let b = graph.input("b", Shape::new([1]), DType::F32)?;
    let difference = a.subtract(&b)?;
    let outputs = [("difference", &difference), ("a", &a)];
    let program = Program::new(&graph, &[&b, &unused, &a], &outputs, &[])?;
    let names: Vec<&str> = program
        .inputs()
        .iter()
        .map(|spec| spec.name.as_str())
        .collect();
    assert_eq!(names, ["b", "unused", "a"]);
    assert_eq!(program.nodes().len(), 3, "the unused input has no node");

    let mut executor = ReferenceExecutor::new();
    let plan = executor.compile(&program, &Bindings::new())?;
    let mut outputs = output_tensors(&program, &Bindings::new())?;
    let inputs = [vector(&[1.0]), vector(&[0.0, 0.0]), vector(&[5.0])];
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    executor.run(plan, &inputs, &mut outputs)?;
    assert_eq!(outputs[0].as_f32(), Some(&[4.0][..]));
    assert_eq!(outputs[1].as_f32(), Some(&[5.0][..]));

    // Too few, too many, another shape, another dtype, no room: errors.
    assert!(executor.run(plan, &inputs[..2], &mut outputs).is_err());
    let many = [inputs[0], inputs[1], inputs[2], inputs[2]];
    assert!(executor.run(plan, &many, &mut outputs).is_err());
    assert!(
        executor
            .run(plan, &[inputs[0], inputs[0], inputs[2]], &mut outputs)
            .is_err()
    );
    let integers = Tensor::from_i32(&[1], vec![1])?;
    assert!(
        executor
            .run(plan, &[&integers, inputs[1], inputs[2]], &mut outputs)
            .is_err()
    );
    assert!(executor.run(plan, &inputs, &mut outputs[..1]).is_err());
    executor.release(plan);
    assert!(executor.run(plan, &inputs, &mut outputs).is_err());
    Ok(())
}

#[test]
fn updates_see_the_old_state() -> Result<()> {
    let graph = Graph::new();
    let a = graph.state("a", &[2], DType::F32)?;
    let b = graph.state("b", &[2], DType::F32)?;
    let x = graph.input("x", Shape::new([2]), DType::F32)?;
    // The two change places; the output is of the old ones.
    let sum = a.add(&b)?;
    let program = Program::new(
        &graph,
        &[&x],
        &[("sum", &sum)],
        &[("a", &b), ("b", &a), ("c", &x)],
    )?;
    let mut executor = ReferenceExecutor::new();
    executor.create_state("a", &vector(&[1.0, 2.0]))?;
    executor.create_state("b", &vector(&[3.0, 4.0]))?;
    let missing = executor.compile(&program, &Bindings::new()).unwrap_err();
    assert_eq!(missing.to_string(), "state `c` does not exist");
    executor.create_state("c", &vector(&[0.0, 0.0]))?;
    let plan = executor.compile(&program, &Bindings::new())?;
    let mut outputs = output_tensors(&program, &Bindings::new())?;
    executor.run(plan, &[&vector(&[7.0, 8.0])], &mut outputs)?;
    assert_eq!(outputs[0].as_f32(), Some(&[4.0, 6.0][..]));
    assert_eq!(executor.read_state("a")?, vector(&[3.0, 4.0]));
    assert_eq!(executor.read_state("b")?, vector(&[1.0, 2.0]));
    assert_eq!(executor.read_state("c")?, vector(&[7.0, 8.0]));

    // A run that fails changes no state.
    assert!(
        executor
            .run(plan, &[&vector(&[1.0])], &mut outputs)
            .is_err()
    );
    assert!(
        executor
            .run(plan, &[&vector(&[1.0, 1.0])], &mut [])
            .is_err()
    );
    assert_eq!(executor.read_state("a")?, vector(&[3.0, 4.0]));

    // A state that a plan uses stays; its shape too.
    assert!(executor.remove_state("a").is_err());
    assert!(executor.write_state("a", &vector(&[1.0])).is_err());
    executor.create_state("a", &vector(&[1.0]))?;
    assert!(executor.compile(&program, &Bindings::new()).is_err());
    assert!(
        executor
            .run(plan, &[&vector(&[1.0, 1.0])], &mut outputs)
            .is_err()
    );
    executor.release(plan);
    executor.remove_state("a")?;
    assert!(executor.read_state("a").is_err());
    Ok(())
}

#[test]
fn programs_that_make_no_sense_are_refused() -> Result<()> {
    let (graph, other) = (Graph::new(), Graph::new());
    let x = graph.input("x", Shape::batch_of(&[2]), DType::F32)?;
    let w = graph.state("w", &[2], DType::F32)?;
    let y = x.multiply(&w)?;
    let foreign = other.input("x", Shape::batch_of(&[2]), DType::F32)?;
    let error = |inputs: &[&Value], outputs: &[(&str, &Value)], updates: &[(&str, &Value)]| {
        let error = Program::new(&graph, inputs, outputs, updates).unwrap_err();
        error.to_string()
    };
    let foreign_graph = "a value of another graph was given to a program";
    assert_eq!(error(&[&foreign], &[], &[]), foreign_graph);
    assert_eq!(error(&[], &[("y", &foreign)], &[]), foreign_graph);
    assert_eq!(error(&[], &[], &[("w", &foreign)]), foreign_graph);
    assert_eq!(
        error(&[&x], &[], &[("w", &w), ("w", &w)]),
        "state `w` is updated twice in one program"
    );
    let slice = w.narrow(0, 0, 1)?;
    assert_eq!(
        error(&[&x], &[], &[("w", &slice)]),
        "state `w` is float32 (2); it cannot take a value that is float32 (1)"
    );
    assert_eq!(
        error(&[&x], &[], &[("new", &y)]),
        "state `new` is of fixed shape; it cannot take a value that is float32 (batch, 2)"
    );
    assert_eq!(error(&[&w], &[], &[]), "state is not an input of the graph");
    assert_eq!(
        error(&[&x, &x], &[], &[]),
        "two inputs of a program are named `x`"
    );
    assert_eq!(
        error(&[], &[("y", &y)], &[]),
        "the program depends on input `x` (float32 (batch, 2)), which is not among its inputs"
    );
    // Two inputs of one name are one value, if they are of one type.
    let same = graph.input("x", Shape::batch_of(&[2]), DType::F32)?;
    Program::new(&graph, &[&x], &[("x", &x), ("same", &same)], &[])?;
    let wider = graph.input("x", Shape::batch_of(&[3]), DType::F32)?;
    assert!(Program::new(&graph, &[&x], &[("x", &x), ("wider", &wider)], &[]).is_err());
    Ok(())
}

#[test]
fn a_graph_refuses_what_does_not_fit_and_names_the_layer() -> Result<()> {
    let (graph, other) = (Graph::new(), Graph::new());
    let x = graph.input("x", Shape::batch_of(&[2]), DType::F32)?;
    let foreign = other.input("x", Shape::batch_of(&[2]), DType::F32)?;
    assert!(x.add(&foreign).is_err());
    assert!(gradients(&x, &[&foreign]).is_err());
    assert!(gradients_from(&[], &[&x]).is_err());
    assert!(gradients_from(&[(&x, &foreign)], &[&x]).is_err());
    let in_layer = |build: &dyn Fn() -> Result<Value>| {
        let error = graph.scope("classifier", || graph.scope("dense", build));
        error.unwrap_err().path().map(str::to_owned)
    };
    let path = Some("classifier/dense".to_owned());
    assert_eq!(in_layer(&|| x.matmul(&x)), path);
    assert_eq!(in_layer(&|| x.add(&foreign)), path);
    assert_eq!(in_layer(&|| x.sum(&[2], false)), path);
    assert_eq!(in_layer(&|| x.argmax(-3)), path);
    assert_eq!(in_layer(&|| x.narrow(5, 0, 1)), path);
    assert_eq!(
        in_layer(&|| graph.iota(Shape::new([2]), 1, DType::I32)),
        path
    );
    graph.state("w", &[2], DType::F32)?;
    assert_eq!(in_layer(&|| graph.state("w", &[3], DType::F32)), path);
    assert_eq!(in_layer(&|| graph.state("w", &[2], DType::F16)), path);
    let negative = Shape::from(vec![Dim::fixed(2).offset(-3)]);
    assert_eq!(
        in_layer(&|| graph.input("n", negative.clone(), DType::F32)),
        path
    );
    assert_eq!(graph.path(), "");
    // An input that is read as a state's twin, a gradient of integers.
    let integers = x.cast(DType::I32)?;
    assert!(gradients(&integers, &[&x]).is_err());
    assert!(gradients(&x, &[&integers]).is_err());
    Ok(())
}

/// A user's operation whose gradient rule is wrong in a way of choice.
struct Wrong(Rule);

type Rule = fn(&[Value], &Value) -> Result<Vec<Option<Value>>>;

impl CustomOperation for Wrong {
    fn name(&self) -> &str {
        "wrong"
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        inputs
            .first()
            .cloned()
            .ok_or_else(|| Error::new("no input"))
    }
    fn evaluate(&self, _: &[&Array], _: &[usize]) -> Result<Vec<f64>> {
        Ok(vec![0.0])
    }
    fn gradient(
        &self,
        inputs: &[Value],
        _: &Value,
        gradient: &Value,
    ) -> Result<Vec<Option<Value>>> {
        (self.0)(inputs, gradient)
    }
}

#[test]
fn a_users_wrong_rules_are_errors_that_name_the_layer() -> Result<()> {
    let rules: [Rule; 5] = [
        |_, _| Ok(vec![]),
        |_, g| Ok(vec![Some(g.clone()), None]),
        |_, g| Ok(vec![Some(g.sum_all()?)]),
        |_, g| Ok(vec![Some(g.cast(DType::F16)?)]),
        |_, _| {
            Ok(vec![Some(Graph::new().input(
                "g",
                Shape::new([2]),
                DType::F32,
            )?)])
        },
    ];
    for rule in rules {
        let graph = Graph::new();
        let x = graph.input("x", Shape::new([2]), DType::F32)?;
        let custom = Custom(Arc::new(Wrong(rule)));
        let y = graph.scope("mine", || graph.add(custom.into(), &[&x]))?;
        let error = gradients(&y, &[&x]).unwrap_err();
        assert_eq!(error.path(), Some("mine"));
        assert!(error.message().contains("wrong"), "{error}");
        // And so is an evaluation that gives too little.
        let program = Program::new(&graph, &[&x], &[("y", &y)], &[])?;
        let given = Array::new(vec![2], DType::F32, vec![1.0, 2.0]);
        let error = ReferenceExecutor::new().evaluate(&program, &Bindings::new(), &[given]);
        assert_eq!(error.unwrap_err().path(), Some("mine"));
    }
    Ok(())
}

#[test]
fn a_program_reads_well() -> Result<()> {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[4, 4, 1]), DType::F32)?;
    let labels = graph.input("labels", Shape::new([Dim::batch()]), DType::U8)?;
    let flat = graph.scope("model", || {
        let window = PoolingWindow {
            size: [2, 2],
            strides: [2, 2],
            padding: [[0; 2]; 2],
        };
        let pooled = graph.scope("pool", || x.max_pool2d(window))?;
        graph.scope("flatten", || pooled.reshape(&Shape::batch_of(&[4])))
    })?;
    let kernel = graph.state("model/dense/kernel", &[4, 3], DType::F32)?;
    let logits = graph.scope("model", || graph.scope("dense", || flat.matmul(&kernel)))?;
    let loss = logits.sparse_cross_entropy(&labels)?.mean_all()?;
    let slope = gradients(&loss, &[&kernel])?.remove(0);
    let step = kernel.subtract(&slope.multiply_scalar(0.5)?)?;
    let program = Program::new(
        &graph,
        &[&x, &labels],
        &[("loss", &loss)],
        &[("model/dense/kernel", &step)],
    )?;
    let text = program.to_string();
    assert_eq!(text, EXPECTED, "{text}");
    Ok(())
}

const EXPECTED: &str = r#"%0 = float32 (batch, 4, 4, 1)  input "x"
%1 = uint8 (batch)             input "labels"
%2 = float32 (batch, 2, 2, 1)  max_pool2d(%0) size=[2, 2] strides=[2, 2] padding=[[0, 0], [0, 0]]  # model/pool
%3 = float32 (batch, 4)        reshape(%2)                                                         # model/flatten
%4 = float32 (4, 3)            state "model/dense/kernel"
%5 = float32 (batch, 3)        matmul(%3, %4)                                                      # model/dense
%6 = float32 (batch)           sparse_cross_entropy(%5, %1)
%7 = float32 ()                mean(%6) axes=[0]
%8 = float32 ()                constant 1
%9 = float32 (1)               reshape(%8)                                                         # gradient
%10 = float32 ()               dimension_size batch                                                # gradient
%11 = float32 (1)              divide(%9, %10)                                                     # gradient
%12 = float32 (batch)          broadcast_to(%11)                                                   # gradient
%13 = float32 (batch, 1)       reshape(%12)                                                        # gradient
%14 = int32 (batch, 3)         iota axis=1                                                         # gradient
%15 = int32 (batch)            cast(%1) int32                                                      # gradient
%16 = int32 (batch, 1)         reshape(%15)                                                        # gradient
%17 = bool (batch, 3)          equal(%16, %14)                                                     # gradient
%18 = float32 (batch, 3)       cast(%17) float32                                                   # gradient
%19 = float32 (batch, 3)       softmax(%5)                                                         # gradient
%20 = float32 (batch, 3)       subtract(%19, %18)                                                  # gradient
%21 = float32 (batch, 3)       multiply(%20, %13)                                                  # gradient
%22 = float32 (4, 3)           matmul(%3, %21) left transposed                                     # model/dense/gradient
%23 = float32 ()               constant 0.5
%24 = float32 (4, 3)           multiply(%22, %23)
%25 = float32 (4, 3)           subtract(%4, %24)
return "loss" = %7
update "model/dense/kernel" = %25
"#;
