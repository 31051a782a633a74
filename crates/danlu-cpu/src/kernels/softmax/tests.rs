use super::*;
use crate::kernels::testing::{bits, lengths, numbers};

fn exact_softmax(x: &[f32]) -> Vec<f64> {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps = x.iter().map(|&x| (f64::from(x) - f64::from(largest)).exp());
    let exps: Vec<f64> = exps.collect();
    let sum = exps.iter().sum::<f64>();
    exps.iter().map(|e| e / sum).collect()
}

fn close(got: f32, exact: f64) {
    let tolerance = 1e-6 * exact.abs() + 2e-7;
    assert!((f64::from(got) - exact).abs() <= tolerance, "{got} {exact}");
}

#[test]
fn rows_are_close_to_f64_and_do_not_depend_on_each_other() {
    for isa in Isa::available() {
        for classes in lengths(isa)
            .into_iter()
            .chain([10, 1500])
            .filter(|&n| n > 0)
        {
            let x: Vec<f32> = numbers(1, 3 * classes).iter().map(|x| 8.0 * x).collect();
            let dy = numbers(2, 3 * classes);
            let labels: Vec<i32> = [0, classes / 2, classes - 1].map(|x| x as i32).to_vec();
            let gradient = [0.5, -1.0, 2.0];
            let empty = || vec![0.0; 3 * classes];
            let [mut y, mut log, mut dx, mut dlog, mut dcross] =
                [empty(), empty(), empty(), empty(), empty()];
            let mut loss = [0.0; 3];
            softmax(isa, &x, classes, &mut y);
            log_softmax(isa, &x, classes, &mut log);
            softmax_gradient(isa, &y, &dy, classes, &mut dx);
            log_softmax_gradient(isa, &log, &dy, classes, &mut dlog);
            cross_entropy(isa, &x, classes, Labels::I32(&labels), &mut loss);
            cross_entropy_gradient(
                isa,
                &x,
                classes,
                Labels::I32(&labels),
                &gradient,
                &mut dcross,
            );
            for row in 0..3 {
                let range = row * classes..(row + 1) * classes;
                let p = exact_softmax(&x[range.clone()]);
                let dy = &dy[range.clone()];
                let dot: f64 = p.iter().zip(dy).map(|(p, &d)| p * f64::from(d)).sum();
                let sum: f64 = dy.iter().map(|&d| f64::from(d)).sum();
                let label = labels[row] as usize;
                close(loss[row], -p[label].ln());
                for i in 0..classes {
                    let at = row * classes + i;
                    close(y[at], p[i]);
                    close(log[at], p[i].ln());
                    close(dx[at], p[i] * (f64::from(dy[i]) - dot));
                    close(dlog[at] / 4.0, (f64::from(dy[i]) - p[i] * sum) / 4.0);
                    let onehot = f64::from(u8::from(i == label));
                    close(dcross[at], (p[i] - onehot) * f64::from(gradient[row]));
                }
                let mut one = vec![0.0; classes];
                softmax(isa, &x[range.clone()], classes, &mut one);
                assert_eq!(bits(&one), bits(&y[range.clone()]));
            }
        }
    }
}

#[test]
fn a_label_that_is_no_class_gives_nan() {
    for isa in Isa::available() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let mut loss = [0.0; 2];
        cross_entropy(isa, &x, 2, Labels::I64(&[1, -1]), &mut loss);
        assert!(loss[0].is_finite() && loss[1].is_nan());
        let mut dx = [0.0; 4];
        cross_entropy_gradient(isa, &x, 2, Labels::U8(&[2, 0]), &[1.0, 1.0], &mut dx);
        assert!(dx[0].is_nan() && dx[1].is_nan() && dx[2].is_finite());
    }
}

#[test]
fn large_logits_do_not_overflow() {
    let mut y = [0.0; 3];
    softmax(Isa::detect(), &[1e30, -1e30, f32::NEG_INFINITY], 3, &mut y);
    assert_eq!(y, [1.0, 0.0, 0.0]);
    softmax(Isa::detect(), &[f32::NAN, 0.0, 0.0], 3, &mut y);
    assert!(y.iter().all(|x| x.is_nan()));
}
