//! A Python object as the trainer of a custom model (docs/protocols/custom-models.md). Everything that it is given and gives is checked in
//! `lepton_ai.party`, and again by the engine.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lepton_learn::{Examples, LocalConfig, Matrix, Optimiser, Predictions, Span, Target};
use lepton_node::trainers::Trainers;
use lepton_protocol::trainer::{Round, Trainer, TrainerError};
use numpy::ndarray::ArrayView2;
use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::panicked;

/// Trainers made by `factory(name)`, which gives an adapter of `lepton_ai.party`.
pub(crate) fn trainers(factory: Py<PyAny>) -> Trainers {
    Trainers::new(move |name| {
        Python::attach(|py| {
            let made = factory.call1(py, (name,)).and_then(|object| {
                let says = |what| object.getattr(py, what)?.extract(py);
                Ok(PyTrainer {
                    has_gradient: says("has_gradient")?,
                    exact_sums: says("exact_sums")?,
                    object,
                })
            });
            let trainer = made.map_err(|error| told(py, &error))?;
            Ok(Box::new(trainer) as Box<dyn Trainer>)
        })
    })
}

/// The trainers of `module:object`, for the command.
pub(crate) fn named(what: &str) -> Result<Trainers, String> {
    Python::attach(|py| {
        let made = py
            .import("lepton_ai.party")
            .and_then(|module| module.getattr("_named"))
            .and_then(|named| named.call1((what,)));
        match made {
            Ok(factory) => Ok(trainers(factory.unbind())),
            Err(error) => Err(told(py, &error).0),
        }
    })
}

struct PyTrainer {
    object: Py<PyAny>,
    has_gradient: bool,
    exact_sums: bool,
}

/// What a method is asked beside the parameters.
struct Question<'a> {
    x: &'a Matrix,
    y: Option<&'a Target>,
    round: Option<&'a Round>,
}

impl PyTrainer {
    /// Calls a method with the interpreter held, and reads what it gives before letting it go.
    fn ask<T>(
        &self,
        method: &str,
        parameters: &[f64],
        question: &Question<'_>,
        read: fn(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> Result<T, TrainerError> {
        Python::attach(|py| {
            let called = || {
                let mut words = vec![PyArray1::from_slice(py, parameters).into_any()];
                words.push(matrix(py, question.x)?);
                words.extend(question.y.map(|y| target(py, y)));
                if let Some(round) = question.round {
                    words.push(config(py, round)?.into_any());
                }
                let words = PyTuple::new(py, words)?;
                read(&self.object.bind(py).call_method1(method, words)?)
            };
            // What panics in one call, whatever it is about, is a failure of that call (CM-04).
            let called = catch_unwind(AssertUnwindSafe(called));
            let called =
                called.map_err(|panic| TrainerError(panicked(panic.as_ref()).to_string()))?;
            called.map_err(|error| told(py, &error))
        })
    }
}

impl Trainer for PyTrainer {
    fn fit(
        &mut self,
        parameters: &[f64],
        train: &Examples,
        round: &Round,
    ) -> Result<Vec<f64>, TrainerError> {
        let question = Question {
            x: train.x(),
            y: Some(train.y()),
            round: Some(round),
        };
        self.ask("fit", parameters, &question, numbers)
    }

    fn predict(&mut self, parameters: &[f64], x: &Matrix) -> Result<Predictions, TrainerError> {
        let question = Question {
            x,
            y: None,
            round: None,
        };
        self.ask("predict", parameters, &question, predictions)
    }

    fn gradient(
        &mut self,
        parameters: &[f64],
        record: &Examples,
    ) -> Result<Vec<f64>, TrainerError> {
        let question = Question {
            x: record.x(),
            y: Some(record.y()),
            round: None,
        };
        self.ask("gradient", parameters, &question, numbers)
    }

    fn has_gradient(&self) -> bool {
        self.has_gradient
    }

    fn exact_sums(&self) -> bool {
        self.exact_sums
    }
}

fn matrix<'py>(py: Python<'py>, x: &Matrix) -> PyResult<Bound<'py, PyAny>> {
    let view = ArrayView2::from_shape((x.rows(), x.cols()), x.data());
    let view = view.map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))?;
    Ok(PyArray2::from_array(py, &view).into_any())
}

fn target<'py>(py: Python<'py>, y: &Target) -> Bound<'py, PyAny> {
    match y {
        Target::Classes { labels, .. } => {
            let labels = labels.iter().map(|label| i64::from(*label));
            PyArray1::from_iter(py, labels).into_any()
        }
        Target::Values(values) => PyArray1::from_slice(py, values).into_any(),
    }
}

fn config<'py>(py: Python<'py>, round: &Round) -> PyResult<Bound<'py, PyDict>> {
    let LocalConfig {
        span,
        batch,
        optimiser,
        learning_rate,
        ..
    } = &round.settings;
    let config = PyDict::new(py);
    config.set_item("round", round.number)?;
    match span {
        Span::Epochs(epochs) => config.set_item("local_epochs", epochs)?,
        Span::Steps(steps) => config.set_item("local_steps", steps)?,
    }
    config.set_item("batch", batch)?;
    config.set_item("learning_rate", learning_rate)?;
    match optimiser {
        Optimiser::Sgd { momentum } => {
            config.set_item("optimiser", "sgd")?;
            config.set_item("momentum", momentum)?;
        }
        Optimiser::Adam { .. } => config.set_item("optimiser", "adam")?,
    }
    Ok(config)
}

fn numbers(given: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let array: PyReadonlyArray1<'_, f64> = given.extract()?;
    Ok(array.as_array().to_vec())
}

/// One number a row, or a row of shares.
fn predictions(given: &Bound<'_, PyAny>) -> PyResult<Predictions> {
    let array: PyReadonlyArrayDyn<'_, f64> = given.extract()?;
    let data = array.as_array().iter().copied().collect();
    Ok(match array.shape() {
        [_, classes] => Predictions::Probabilities {
            classes: *classes,
            data,
        },
        _ => Predictions::Values(data),
    })
}

/// What an exception says, with the line it comes from.
fn told(py: Python<'_>, error: &PyErr) -> TrainerError {
    let traceback = error
        .traceback(py)
        .and_then(|traceback| traceback.format().ok());
    TrainerError(match traceback {
        Some(lines) => format!("{error}\n{lines}"),
        None => error.to_string(),
    })
}
