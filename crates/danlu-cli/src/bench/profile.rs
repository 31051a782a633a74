//! `danlu train --profile`, `danlu bench --profile`: where the time of steps went, for people and for programs.

use danlu::cpu::Peak;
use danlu::training::{OperationTime, TrainingProfile};
use serde_json::{Value, json};

use super::measured::{Costs, Rates, peak_json, peak_text, rate, share};
use super::table::{Table, bytes, percent, time};

/// Operations below this share of the time are one row in the table.
const SMALL: f64 = 0.001;

/// What was measured of a training, or of predictions.
pub struct ProfileReport {
    /// What the steps are called.
    pub steps: &'static str,
    /// What goes on between them.
    pub between: &'static str,
    /// What the plans took.
    pub profile: TrainingProfile,
    /// Seconds of the training steps with everything between them.
    pub seconds: f64,
    /// What the machine reaches.
    pub peak: Peak,
}

impl ProfileReport {
    /// Seconds outside the plans.
    fn outside(&self) -> f64 {
        (self.seconds - self.profile.seconds).max(0.0)
    }

    fn share(&self, seconds: f64) -> f64 {
        match self.seconds > 0.0 {
            true => seconds / self.seconds,
            false => 0.0,
        }
    }

    fn rates(&self, time: &OperationTime) -> Rates {
        let costs = Costs {
            flops: time.flops,
            bytes: time.bytes,
        };
        Rates::new(costs, time.seconds, Some(self.peak))
    }

    /// The operations, those that took longest first.
    fn operations(&self) -> Vec<&OperationTime> {
        let mut operations: Vec<&OperationTime> = self.profile.operations.iter().collect();
        operations.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        operations
    }

    /// Waiting as a share of what all threads have.
    fn share_of_waiting(&self) -> f64 {
        let whole = self.profile.seconds * self.profile.threads as f64;
        match whole > 0.0 {
            true => self.profile.waiting_seconds / whole,
            false => 0.0,
        }
    }

    /// The object `profile` of `--json`.
    pub fn json(&self) -> Value {
        let profile = &self.profile;
        let operations: Vec<Value> = self
            .operations()
            .into_iter()
            .map(|time| {
                let rates = self.rates(time);
                json!({
                    "layer": time.layer,
                    "stage": time.stage.to_string(),
                    "operations": time.operations,
                    "seconds": time.seconds,
                    "share": self.share(time.seconds),
                    "gflops": rates.gflops,
                    "share_of_peak": rates.share_of_peak,
                    "gigabytes_per_second": rates.gigabytes_per_second,
                    "share_of_bandwidth": rates.share_of_bandwidth,
                })
            })
            .collect();
        let layers: Vec<Value> = profile
            .layers
            .iter()
            .map(|layer| {
                json!({
                    "layer": layer.layer,
                    "seconds": layer.seconds(),
                    "share": self.share(layer.seconds()),
                    "forward_seconds": layer.forward,
                    "backward_seconds": layer.backward,
                    "update_seconds": layer.update,
                })
            })
            .collect();
        json!({
            "steps": profile.steps,
            "seconds": self.seconds,
            "outside_seconds": self.outside(),
            "copying_seconds": profile.copying_seconds,
            "waiting_seconds": profile.waiting_seconds,
            "arena_bytes": profile.arena_bytes,
            "peak": peak_json(self.peak),
            "operations": operations,
            "layers": layers,
        })
    }

    /// Two tables for people.
    pub fn text(&self) -> String {
        let profile = &self.profile;
        format!(
            "{} {} in {}{}\n\n{}\n{}\nThreads waited for each other {} of the time in operations. \
             Memory between operations: {}.\n",
            profile.steps,
            self.steps,
            time(self.seconds),
            peak_text(self.peak),
            self.operation_table(),
            self.layer_table(),
            percent(self.share_of_waiting()),
            bytes(profile.arena_bytes)
        )
    }

    fn per_step(&self, seconds: f64) -> String {
        time(seconds / self.profile.steps.max(1) as f64)
    }

    fn operation_table(&self) -> String {
        let mut table = Table::new(
            3,
            &[
                "layer",
                "stage",
                "operations",
                "per step",
                "share",
                "GFLOP/s",
                "of peak",
                "GB/s",
                "of memory",
            ],
        );
        let (mut small, mut count) = (0.0, 0);
        for operation in self.operations() {
            let part = self.share(operation.seconds);
            if part < SMALL {
                small += operation.seconds;
                count += 1;
                continue;
            }
            let rates = self.rates(operation);
            table.row(vec![
                operation.layer.clone(),
                operation.stage.to_string(),
                operation.label(),
                self.per_step(operation.seconds),
                percent(part),
                rate(rates.gflops),
                share(rates.share_of_peak),
                rate(rates.gigabytes_per_second),
                share(rates.share_of_bandwidth),
            ]);
        }
        let mut rest = |label: String, seconds: f64| {
            let cells = [String::new(), String::new(), label, self.per_step(seconds)];
            let mut cells = cells.to_vec();
            cells.push(percent(self.share(seconds)));
            table.row(cells);
        };
        if count > 0 {
            rest(format!("{count} more, each below 0.1 %"), small);
        }
        rest("copying results".to_owned(), self.profile.copying_seconds);
        rest(format!("outside: {}", self.between), self.outside());
        rest("all".to_owned(), self.seconds);
        table.text()
    }

    fn layer_table(&self) -> String {
        let mut table = Table::new(
            1,
            &[
                "layer", "forward", "backward", "update", "per step", "share",
            ],
        );
        for layer in &self.profile.layers {
            let cell = |seconds: f64| match seconds > 0.0 {
                true => self.per_step(seconds),
                false => String::new(),
            };
            table.row(vec![
                layer.layer.clone(),
                cell(layer.forward),
                cell(layer.backward),
                cell(layer.update),
                self.per_step(layer.seconds()),
                percent(self.share(layer.seconds())),
            ]);
        }
        table.text()
    }
}
