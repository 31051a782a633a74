//! What `danlu` says of input that is no good: a message, exit code 1 or 2, and nothing left behind.

mod common;

use common::{Place, idx, idx_folder, npy, pixels};

fn says(stderr: &str, expected: &str) {
    assert!(
        stderr.contains(expected),
        "`{expected}` is not in: {stderr}"
    );
}

#[test]
fn unknown_names_come_with_a_suggestion() {
    let place = Place::new();
    let stderr = place.bad_training("digitz --out a", 2);
    says(&stderr, "did you mean `digits`?");
    let stderr = place.bad_training("digits --set training.epoch=1 --out a", 2);
    says(&stderr, "did you mean `epochs`?");
    let stderr = place.bad_training("digits --set model.layers.0.type=Desne --out a", 2);
    says(&stderr, "did you mean `Dense`?");
    place.bad_training("digits --data digitz --out a", 2);
    place.bad_training("digits --set model.layers.0.filterz=3 --out a", 2);
    place.bad_training("digits --set nothing --out a", 2);
    place.bad("recipes show digitz", 2);
    place.bad("evaluate nowhere.keras --data digits", 2);
    place.bad("fly", 2);
}

#[test]
fn numbers_out_of_range() {
    let place = Place::new();
    for arguments in [
        "--epochs 0",
        "--epochs -1",
        "--batch-size 0",
        "--learning-rate 0",
        "--learning-rate -1",
        "--epochs 1.5",
        "--learning-rate nan",
        "--validation-split 1",
        "--validation-split nan",
        // What leaves no example to train on.
        "--validation-split 0.9999",
        "--pixel-scale 0",
        "--pixel-scale nan",
        "--threads 0",
        "--set model.layers.4.rate=nan",
    ] {
        place.bad_training(&format!("digits {arguments} --out a"), 2);
    }
    // Which end of the range it was.
    for (argument, most, least) in [
        ("0.filters", "3000000000", "0"),
        ("0.kernel_size", "3000000000", "0"),
        ("0.strides", "[1,3000000000]", "[1,0]"),
        ("1.pool_size", "[3000000000,2]", "[1,2,3000000000]"),
    ] {
        for (value, expected) in [(most, "at most 2147483647"), (least, "at least 1")] {
            let set = format!("--set model.layers.{argument}={value}");
            let error = place.bad_training(&format!("digits {set} --out a"), 2);
            assert!(error.contains(expected), "{set}: {error}");
        }
    }
}

#[test]
fn places_that_cannot_be_written() {
    let place = Place::new();
    place.write("there/keep.txt", "mine");
    place.bad_training("digits --epochs 1 --out there", 2);
    assert_eq!(place.read("there/keep.txt"), b"mine");
    if cfg!(target_os = "linux") {
        place.bad_training("digits --epochs 1 --out /proc/x", 1);
    }
    place.bad_training("digits --epochs 1 --out a --save nowhere/m.keras", 2);
    place.bad_training("digits --epochs 1 --out a --save m.txt", 2);
}

#[test]
fn damaged_data() {
    let place = Place::new();
    let train = |folder: &str| {
        place.bad_training(&format!("digits --epochs 1 --data ./{folder} --out a"), 1)
    };
    idx_folder(&place, "good", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    place.good("train digits --epochs 1 --data ./good --quiet --out fine");

    let whole = idx(&[10, 8, 8], &pixels(10, 64));
    let images = "train-images-idx3-ubyte";
    idx_folder(&place, "short", &[1; 10]);
    for end in [0, 3, 9, 16, 100, whole.len() - 1] {
        place.write(&format!("short/{images}"), &whole[..end]);
        train("short");
    }
    idx_folder(&place, "gz", &[1; 10]);
    std::fs::remove_file(place.path(&format!("gz/{images}"))).unwrap();
    place.write(
        &format!("gz/{images}.gz"),
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03abc",
    );
    train("gz");
    idx_folder(&place, "huge", &[1; 10]);
    place.write(&format!("huge/{images}"), idx(&[1 << 31, 8, 8], &[0; 64]));
    train("huge");
    idx_folder(&place, "empty", &[]);
    train("empty");
    idx_folder(&place, "label", &[0, 1, 2, 12]);
    let arguments = "--data ./label --set model.layers.8.units=10 --out a";
    says(&place.bad_training(&format!("digits {arguments}"), 1), "12");
    idx_folder(&place, "unequal", &[1; 10]);
    place.write("unequal/train-labels-idx1-ubyte", idx(&[9], &[1; 9]));
    train("unequal");
    place.write("broken.npz", b"PK\x03\x04 and no more");
    train("broken.npz");
}

#[test]
fn damaged_recipes() {
    let place = Place::new();
    let shown = place.good("recipes show digits");
    for (name, text) in [
        ("syntax", "name = \"x\n[model"),
        ("nothing", ""),
        ("number", "model = 3"),
        ("cut", &shown[..shown.len() / 2]),
    ] {
        place.write(&format!("{name}.toml"), text);
        place.bad_training(&format!("{name}.toml --out a"), 2);
    }
    place.write("bytes.toml", [0xff, 0xfe, 0x00]);
    let output = place.run("train bytes.toml --out a");
    assert!(matches!(output.status.code(), Some(1 | 2)));
    assert!(!place.has("a"));
}

#[test]
fn damaged_models_and_wrong_pictures() {
    let place = Place::new();
    place.good("train digits --epochs 1 --quiet --out d");
    place.good("convert d/model.keras m.h5");
    place.write("x.npy", npy(&[2, 8, 8], &[0.5; 128]));
    for (source, extension) in [("d/model.keras", "keras"), ("m.h5", "h5")] {
        let whole = place.read(source);
        let file = format!("bad.{extension}");
        let length = whole.len();
        for end in [0, 1, 8, 100, length / 4, length / 2, length - 1] {
            place.write(&file, &whole[..end]);
            // HDF5 may end in padding, so that a file that lacks a byte can still be whole.
            let output = place.run(&format!("predict {file} x.npy"));
            let code = output.status.code();
            let last = end == length - 1;
            assert!(code == Some(1) || (last && code == Some(0)), "{file} {end}");
        }
        for round in 0..24 {
            let mut mangled = whole.clone();
            for step in 0..8 {
                let index = (round * 7919 + step * 104_729) % length.min(4096 << (round % 8));
                mangled[index] ^= (round * 31 + step * 17 + 1) as u8;
            }
            place.write(&file, &mangled);
            let code = place.run(&format!("predict {file} x.npy")).status.code();
            assert!(matches!(code, Some(0..=2)), "{file} {round}: {code:?}");
        }
    }
    place.write("text.keras", "no model");
    place.bad("summary text.keras", 1);
    place.bad("convert text.keras out.h5", 1);
    assert!(!place.has("out.h5"));

    place.write("wrong.npy", npy(&[2, 9, 9], &[0.5; 162]));
    place.write("wrong.idx", idx(&[2, 28, 28], &pixels(2, 784)));
    place.write("cut.npy", &npy(&[2, 8, 8], &[0.5; 128])[..200]);
    for input in ["wrong.npy", "wrong.idx", "cut.npy"] {
        place.bad(&format!("predict d {input} --out y.npy"), 1);
        assert!(!place.has("y.npy"), "{input}");
    }
    place.bad("predict d x.npy --batch-size 0", 2);
    place.bad("predict d x.npy --out y.txt", 2);
}

#[test]
fn a_loss_that_is_no_number_ends_the_training() {
    let place = Place::new();
    let stderr = place.bad("train digits --learning-rate 1e30 --out nan", 1);
    says(&stderr, "NaN");
    assert!(!place.has("nan/model.keras") && !place.has("nan/final.safetensors"));
    let record: serde_json::Value = serde_json::from_slice(&place.read("nan/run.json")).unwrap();
    assert_eq!(record["state"], "failed");
}

#[test]
fn what_only_the_first_step_would_find_is_found_before_there_is_a_run_folder() {
    let place = Place::new();
    let losses = ["mse", "binary_crossentropy", "categorical_crossentropy"];
    for loss in losses {
        place.bad_training(&format!("digits --set training.loss={loss} --out a"), 2);
    }
    // 427 GB of weights.
    let stderr = place.bad_training("digits --set model.layers.6.units=400000000 --out a", 2);
    says(&stderr, "of memory");
}

#[test]
fn errors_of_layers_say_where_in_the_recipe_they_stand() {
    let place = Place::new();
    let text = place.good("recipes show digits");
    place.write("r.toml", text.replacen("[2, 2]", "[90, 90]", 1));
    let stderr = place.bad_training("r.toml --out a", 2);
    says(&stderr, "r.toml, line 17: ");
    says(&stderr, "MaxPooling2D: `pool_size` must be at most");
    let stderr = place.bad_training("digits --set model.layers.2.name=a/b --out a", 2);
    says(&stderr, "`model.layers.2.name` must be");
    let stderr = place.bad_training("digits --set model.layers.0.filters=99999999999 --out a", 2);
    says(&stderr, "at most");
}

#[test]
fn what_is_no_model_is_told_from_one() {
    let place = Place::new();
    says(&place.bad("predict digits x.png", 2), "danlu train digits");
    place.write("notes.txt", "mine");
    for line in [
        "predict notes.txt x.png",
        "summary notes.txt",
        "train notes.txt",
    ] {
        says(&place.bad(line, 2), "no");
    }
    place.bad("predict nowhere x.png", 2);
}

#[test]
fn outputs_that_are_no_numbers_have_no_class() {
    let place = Place::new();
    place.good("train digits --epochs 1 --quiet --out d");
    place.write("x.npy", npy(&[1, 8, 8], &[f32::NAN; 64]));
    let output = place.run("predict d x.npy --json");
    assert!(output.status.success());
    let entries: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(entries[0]["class"].is_null() && entries[0]["label"].is_null());
    says(&String::from_utf8_lossy(&output.stderr), "NaN");
    assert!(place.good("predict d x.npy").contains("no class"));

    place.bad("predict d - -", 2);
    place.bad("predict d x.npy --pixel-scale 0", 2);
    place.bad("predict d x.npy --out nowhere/y.npy", 2);
    // A checkpoint's folder is a model, too.
    place.good("predict d/best x.npy");
    place.bad("convert d x.json", 2);
    // Errors about what a file holds name the file.
    place.good("convert d w.safetensors");
    let stderr = place.bad_training(
        "digits --init w.safetensors --set model.layers.0.filters=3 --out a",
        1,
    );
    says(&stderr, "w.safetensors: ");
}

#[cfg(target_os = "linux")]
#[test]
fn folders_with_any_name_and_links() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::new();
    let name = std::ffi::OsStr::from_bytes(b"o\xff");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_danlu"))
        .args(["train", "digits", "--epochs", "1", "-q", "--out"])
        .arg(name)
        .current_dir(place.0.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    std::fs::rename(place.0.path().join(name), place.path("o")).unwrap();
    // A link stays a link, and what it leads to is replaced.
    std::os::unix::fs::symlink("target.h5", place.path("link.h5")).unwrap();
    place.good("convert o link.h5");
    assert!(
        place
            .path("link.h5")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    assert!(place.has("target.h5"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_made_leaves_nothing() {
    let place = Place::new();
    place.write("file", "mine");
    let stderr = place.bad_training("digits --epochs 1 --out file/a", 2);
    says(&stderr, "`file` is no folder");
    std::fs::create_dir(place.path("m.keras")).unwrap();
    place.bad_training("digits --epochs 1 --out a --save m.keras", 2);
    place.bad_training("digits --epochs 1 --out a --save /proc/m.keras", 2);
}

#[test]
fn a_picture_needs_a_place_and_a_model() {
    let place = Place::new();
    place.write("text.keras", "no model");
    place.bad("summary text.keras --svg picture.svg", 1);
    says(
        &place.bad("summary digits --svg picture.png", 2),
        "ends in .svg",
    );
    says(
        &place.bad("summary digits --svg nowhere/picture.svg", 2),
        "--svg nowhere/picture.svg",
    );
    place.bad("summary digits --svg picture.svg --graph", 2);
    assert!(!place.has("picture.svg") && !place.has("picture.png"));
}
