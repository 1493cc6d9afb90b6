//! One page that shows whether a sampler can be trusted: a file of its own that loads nothing.
//!
//! `page.html` is a template (every text is escaped), `page.css` has the colors, `overlay.js` turns the molecules.

mod charts;
mod overlay;
mod sections;
mod verdict;

use std::path::Path;

use minijinja::{context, AutoEscape, Environment, Value};
use serde::Serialize;

use super::{formula, labels, number, rows};
use crate::dataset::Dataset;
use crate::metrics::{self, Ensemble, Options};
use crate::molecule::thermometer::{assess, ClassTemperature, Temperature};
use crate::{Error, Result};
use sections::Section;

/// Frames times squared atoms that the thermometer looks at; with more, only every so many frames are.
const MOST_WORK: usize = 10_000_000;
/// Sides that have a color.
const MOST_SIDES: usize = 2;

/// Frames that are compared with the reference.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// What they are: `samples`, `refined`.
    pub name: &'a str,
    /// The frames.
    pub data: &'a Dataset,
}

/// What a training adds to its page.
#[derive(Debug, Clone, Default)]
pub struct Training {
    /// Names and values: settings, costs, stages.
    pub facts: Vec<(String, String)>,
    /// (step, mean loss since the entry before).
    pub losses: Vec<(usize, f64)>,
}

/// What a page is made from.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// One or two sides, the first of which the picture shows.
    pub sides: Vec<Side<'a>>,
    /// What they are compared with, and what it is.
    pub reference: Side<'a>,
    /// How to compare.
    pub options: Options,
    /// Temperature asked for, kelvin.
    pub temperature: Option<f64>,
    /// The training that the samples come from.
    pub training: Option<Training>,
    /// Things the user should know, one line each.
    pub warnings: Vec<String>,
    /// The command that made the page.
    pub command: String,
}

/// A whole HTML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page(String);

impl Page {
    /// The text of the file.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        crate::files::write_atomically(path, self.0.as_bytes())
    }
}

/// What the thermometer read of one side; `side` is none for the reference.
#[derive(Debug, Clone)]
struct Temperatures {
    side: Option<usize>,
    all: Option<Temperature>,
    classes: Vec<ClassTemperature>,
}

/// A row of the table of figures.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    values: Vec<String>,
    floor: String,
    what: String,
}

/// Makes the page.
///
/// # Errors
/// As [`metrics::evaluate`]; [`Error::Usage`] for no side or more than two.
pub fn page(input: &Input) -> Result<Page> {
    if input.sides.is_empty() || input.sides.len() > MOST_SIDES {
        return Err(Error::usage(format!("{} sides of a report: give one or two", input.sides.len())));
    }
    let reference = Ensemble::from(input.reference.data);
    let ensembles: Vec<Ensemble> = input.sides.iter().map(|side| Ensemble::from(side.data)).collect();
    let evaluations = ensembles
        .iter()
        .map(|side| metrics::evaluate(side, &reference, &input.options))
        .collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = input.sides.iter().map(|side| side.name.to_owned()).collect();
    let verdicts: Vec<_> =
        evaluations.iter().zip(&names).map(|(found, name)| verdict::judge(name, found)).collect();
    let found = metrics::distributions(&ensembles, &reference, &input.options)?;
    let species = &input.reference.data.species;
    let mut sections: Vec<Section> = Vec::new();
    if let Some(training) = &input.training {
        sections.extend(sections::losses(&training.losses)?);
    }
    sections.extend(sections::distributions(&found, species, &names)?);
    let mut warnings = input.warnings.clone();
    sections.extend(sections::thermometer(&temperatures(input, &mut warnings), input.temperature)?);
    let first = &input.sides[0].data.positions;
    let drawn = overlay::overlay(species, first.view())?;
    let text = render(context! {
        formula => formula(species),
        atoms => species.len(),
        names,
        reference => input.reference.name,
        counts => evaluations.iter().map(|one| one.samples).collect::<Vec<_>>(),
        frames => evaluations[0].reference,
        sources => input.sides.iter().map(|side| side.data.source.name()).collect::<Vec<_>>(),
        source => input.reference.data.source.name(),
        verdicts => Value::from_serialize(&verdicts),
        sections => Value::from_serialize(&sections),
        rows => Value::from_serialize(table(&evaluations)),
        facts => input.training.as_ref().map(|training| training.facts.clone()).unwrap_or_default(),
        training => input.training.is_some(),
        warnings,
        shown => overlay::SHOWN.min(first.dim().0),
        // No closing tag of a script can stand in it.
        overlay => Value::from_safe_string(drawn.to_string().replace('<', "\\u003c")),
        style => Value::from_safe_string(include_str!("page.css").into()),
        script => Value::from_safe_string(include_str!("overlay.js").into()),
        command => input.command,
        version => crate::VERSION,
    })?;
    Ok(Page(text))
}

/// Readings of the reference and of the sides that have forces.
fn temperatures(input: &Input, warnings: &mut Vec<String>) -> Vec<Temperatures> {
    let sides = input.sides.iter().enumerate().map(|(k, side)| (Some(k), side));
    let mut out = Vec::new();
    for (side, of) in std::iter::once((None, &input.reference)).chain(sides) {
        let data = of.data;
        if data.forces.is_none() {
            continue;
        }
        let stride = (data.len() * data.atoms().pow(2)).div_ceil(MOST_WORK).max(1);
        let some: Vec<usize> = (0..data.len()).step_by(stride).collect();
        match data.subset(&some).and_then(|some| assess(&some, input.temperature)) {
            Ok(found) => {
                out.push(Temperatures { side, all: found.configurational, classes: found.classes });
            }
            Err(error) => warnings.push(format!("the temperature of the {} was not read: {error}", of.name)),
        }
    }
    out
}

fn table(evaluations: &[metrics::Evaluation]) -> Vec<Row> {
    let columns: Vec<_> = evaluations.iter().map(|one| rows(&one.figures)).collect();
    let floor = rows(&evaluations[0].floor);
    let of = |column: &[(String, f64)], name: &str| {
        column.iter().find(|(other, _)| other == name).map_or_else(String::new, |(_, value)| number(*value))
    };
    columns[0]
        .iter()
        .map(|(name, _)| Row {
            name: name.clone(),
            values: columns.iter().map(|column| of(column, name)).collect(),
            floor: of(&floor, name),
            what: labels::what(name),
        })
        .collect()
}

/// The template with everything in its place; every text is escaped but what is marked as safe.
fn render(values: Value) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let made = environment
        .add_template("page.html", include_str!("page.html"))
        .and_then(|()| environment.get_template("page.html"))
        .and_then(|template| template.render(values));
    made.map_err(|error| Error::Numeric(format!("the report could not be made: {error}")))
}
