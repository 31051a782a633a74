//! The progress that `fit` shows where it is verbose: lines as Keras writes them, on stderr.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::{Callback, Control, EpochLogs, Note, StepLogs, TrainingStart};
use crate::{Model, Result};

/// Between two refreshes of a line.
const REFRESH: Duration = Duration::from_millis(100);

/// Writes `Epoch 1/10`, a bar where the stream is a terminal, and a line of loss and metrics for each epoch.
pub struct Progress {
    stream: Box<dyn Write + Send>,
    terminal: bool,
    epochs: usize,
    started: Instant,
    shown: Instant,
    steps: usize,
    line: String,
}

impl Progress {
    /// Progress on stderr.
    pub fn stderr() -> Progress {
        Progress::new(Box::new(std::io::stderr()), std::io::stderr().is_terminal())
    }

    /// Progress on this stream; with a bar where it is a terminal.
    pub fn new(stream: Box<dyn Write + Send>, terminal: bool) -> Progress {
        let now = Instant::now();
        Progress {
            stream,
            terminal,
            epochs: 0,
            started: now,
            shown: now,
            steps: 0,
            line: String::new(),
        }
    }

    /// What cannot be shown is not worth an error: training goes on.
    fn write(&mut self) {
        let _ = self.stream.write_all(self.line.as_bytes());
        let _ = self.stream.flush();
    }
}

impl Callback for Progress {
    fn watches_batches(&self) -> bool {
        true
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        self.epochs = start.epochs;
        Ok(())
    }

    fn on_warning(&mut self, warning: &str) {
        self.line.clear();
        let _ = writeln!(self.line, "warning: {warning}");
        self.write();
    }

    fn on_note(&mut self, note: &Note) {
        self.line.clear();
        if self.terminal {
            self.line.push_str("\r\x1b[K");
        }
        let _ = writeln!(self.line, "{}", note.text);
        self.write();
    }

    fn on_epoch_begin(&mut self, epoch: usize, _: &mut Model) -> Result<()> {
        self.started = Instant::now();
        self.shown = self.started;
        self.steps = 0;
        self.line.clear();
        let _ = writeln!(self.line, "Epoch {}/{}", epoch + 1, self.epochs);
        self.write();
        Ok(())
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> Result<Control> {
        if step.phase == super::Phase::Training {
            self.steps = step.step;
        }
        let now = Instant::now();
        if self.terminal && now.duration_since(self.shown) >= REFRESH {
            self.shown = now;
            let elapsed = now.duration_since(self.started).as_secs_f64();
            self.line.clear();
            match step.steps {
                Some(steps) => {
                    let width = 20 * step.step / steps.max(1);
                    let rest = elapsed / step.step as f64 * steps.saturating_sub(step.step) as f64;
                    let _ = write!(self.line, "\r{}/{steps} ", step.step);
                    let _ = write!(
                        self.line,
                        "{:━<width$}{:─<rest_width$}",
                        "",
                        "",
                        rest_width = 20 - width.min(20)
                    );
                    let _ = write!(self.line, " {rest:.0}s");
                }
                None => {
                    let _ = write!(self.line, "\r{}", step.step);
                }
            }
            for (name, value) in step.logs.iter() {
                let _ = write!(self.line, " - {name}: {value:.4}");
            }
            self.line.push_str("\x1b[K");
            self.write();
        }
        Ok(Control::Continue)
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, _: &mut Model) -> Result<Control> {
        let elapsed = self.started.elapsed().as_secs_f64();
        self.line.clear();
        if self.terminal {
            self.line.push('\r');
        }
        let each = elapsed / self.steps.max(1) as f64 * 1e3;
        let _ = write!(
            self.line,
            "{0}/{0} {elapsed:.0}s {each:.1}ms/step",
            self.steps
        );
        for (name, value) in epoch.logs.iter() {
            let _ = write!(self.line, " - {name}: {value:.4}");
        }
        self.line
            .push_str(if self.terminal { "\x1b[K\n" } else { "\n" });
        self.write();
        Ok(Control::Continue)
    }
}
