//! Architectures by name: on the command line, in recipes, with `--set`.

mod common;

use common::Place;

const TRAINING: &str = "[training]\noptimizer = \"adam\"\nloss = \"sparse_categorical_crossentropy\"\nmetrics = [\"accuracy\"]\n\
                        epochs = 1\nbatch_size = 64\n";

#[test]
fn a_recipe_names_an_architecture_with_arguments_beside_it() {
    let place = Place::new();
    let model = "[data]\nsource = \"digits\"\n[model]\narchitecture = \"resnet20\"\nwidth = 0.25\n";
    place.write("r.toml", format!("{model}{TRAINING}"));
    let result = place.json("train r.toml --json --out r");
    assert!(result["test"]["accuracy"].as_f64().unwrap() > 0.05);
    // Input's shape and classes are the data's; the width is the recipe's.
    let summary = place.good("summary r");
    assert!(summary.contains("(None, 8, 8, 4)"), "{summary}");
    assert!(summary.contains("(None, 10)"), "{summary}");
    assert_eq!(
        place.json("evaluate r --data digits --json"),
        result["test"]
    );
    let again = place.json("train r/recipe.toml --json --out again");
    assert_eq!(again["history"], result["history"]);
    // What the recipe fixes stays, where the data fits.
    let fixed = place.good("summary r.toml");
    place.write(
        "fixed.toml",
        format!("{model}classes = 12\ninput_shape = [8, 8, 1]\n{TRAINING}"),
    );
    assert!(!fixed.contains("(None, 12)"));
    assert!(place.good("summary fixed.toml").contains("(None, 12)"));
}

#[test]
fn set_puts_an_architecture_in_the_place_of_layers() {
    let place = Place::new();
    let line = "train digits --epochs 1 --json --quiet --out l --set model.architecture=resnet20";
    place.good(&format!("{line} --set model.width=0.25"));
    let summary = place.good("summary l");
    assert!(summary.contains("conv4_block3_add"), "{summary}");
    let recipe = String::from_utf8(place.read("l/recipe.toml")).unwrap();
    assert!(!recipe.contains("model.layers"), "{recipe}");
}

#[test]
fn an_architecture_is_a_subject_by_its_name() {
    let place = Place::new();
    let summary = place.good("summary lenet5");
    assert!(summary.contains("Total params: 61,706"), "{summary}");
    let digits = "resnet20 --data digits";
    let summary = place.good(&format!("summary {digits}"));
    assert!(summary.contains("(None, 8, 8, 16)"), "{summary}");
    let line = format!("bench {digits} --train --batch 4 --iterations 1 --no-peak --json");
    let results = place.json(&line);
    assert_eq!(results["results"][0]["batch"], 4);
    assert_eq!(results["results"][0]["direction"], "train");
}

#[test]
fn architectures_are_listed_and_described() {
    let place = Place::new();
    let list = place.good("architectures");
    for name in ["lenet5", "resnet20", "resnet50", "vgg16"] {
        assert!(list.lines().any(|line| line.starts_with(name)), "{list}");
    }
    let all = place.json("architectures --json");
    assert_eq!(all.as_array().unwrap().len(), list.lines().count());
    let one = place.json("architectures resnet20 --json");
    assert_eq!(one["defaults"]["shortcut"], "identity");
    let text = place.good("architectures resnet20");
    assert!(text.contains("architecture = \"resnet20\""), "{text}");
    let stderr = place.bad("architectures resnet21", 2);
    assert!(stderr.contains("did you mean `resnet20`?"), "{stderr}");
}

#[test]
fn wrong_architectures_are_refused_before_anything_is_written() {
    let place = Place::new();
    let refused = |line: &str, expected: &[&str]| {
        let stderr = place.bad_training(&format!("{line} --out bad"), 2);
        for expected in expected {
            assert!(stderr.contains(expected), "{line}: {stderr}");
        }
    };
    let data = "[data]\nsource = \"digits\"\n[model]\n";
    let recipe = |name: &str, model: &str| place.write(name, format!("{data}{model}{TRAINING}"));
    recipe("name.toml", "architecture = \"resnte20\"\n");
    refused(
        "name.toml",
        &["name.toml, line 4: ", "did you mean `resnet20`?"],
    );
    recipe(
        "argument.toml",
        "architecture = \"resnet20\"\nwidht = 0.5\n",
    );
    refused(
        "argument.toml",
        &["argument.toml, line 5: ", "did you mean `width`?"],
    );
    recipe("value.toml", "architecture = \"resnet20\"\nwidth = 0\n");
    refused("value.toml", &["value.toml, line 5: ", "`width` must be"]);
    recipe("small.toml", "architecture = \"vgg16\"\n");
    refused(
        "small.toml",
        &["`input_shape` must be", "(32, 32, 1)", "[8, 8, 1]"],
    );
    recipe(
        "both.toml",
        "architecture = \"lenet5\"\nfile = \"x.keras\"\n",
    );
    refused("both.toml", &["both.toml, line 4: ", "leave one out"]);
    recipe("number.toml", "architecture = 20\n");
    refused("number.toml", &["`model.architecture` must be a text"]);
    refused("resnte20", &["did you mean `resnet20`?"]);
    refused("resnet20", &["no data to train on"]);
}
