//! The article's program: handwritten digits with a small convolutional network.
//!
//! `cargo run --release --example mnist` with MNIST's four files where `danlu::data` looks for them, or, on the 1,797 digits
//! that come with the build, `cargo run --release --example mnist -- digits`.

use danlu::prelude::*;

fn main() -> danlu::Result<()> {
    let name = std::env::args().nth(1).unwrap_or("mnist".to_owned());
    let data = danlu::data::open_builtin(&name)?.with_pixel_scale(1.0 / 255.0);
    let (Some(train), Some(test)) = (data.train, data.test) else {
        return Err(format!("{name} has no test part").into());
    };

    let mut model = Sequential::new();
    model.add(Input::new(&train.specification().features[0].shape));
    model.add(Conv2D::new(32, [3, 3]).activation("relu"));
    model.add(MaxPooling2D::new([2, 2]));
    model.add(Flatten::new());
    model.add(Dense::new(128).activation("relu"));
    model.add(Dense::new(10).activation("softmax"));

    model.compile(
        Adam::default(),
        "sparse_categorical_crossentropy",
        ["accuracy"],
    )?;
    println!("{}", model.summary());
    model.fit(
        &train,
        FitOptions::new()
            .epochs(10)
            .batch_size(64)
            .validation_split(0.2),
    )?;
    let results = model.evaluate(&test, EvaluateOptions::new())?;
    println!(
        "test loss {:.4}, test accuracy {:.4}",
        results["loss"], results["accuracy"]
    );

    let path = std::env::temp_dir().join("mnist.h5");
    model.save(&path)?;
    let mut model = Model::load(&path)?;
    let probabilities = model.predict(&test, PredictOptions::new())?;
    println!(
        "the first test picture is of the classes, with probabilities {:?}",
        &probabilities.to_f64()[..10]
    );
    Ok(())
}
