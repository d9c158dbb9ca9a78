//! The results: sections of rows, each with one value of each round; printed as a table, written as JSON and as
//! charts.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    chart::{self, Colours},
    goals::Goal,
    measure::Cost,
};

/// The values of one quantity, one of each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
    }

    /// This divided by `other`, round by round: both were measured one after the other, so what else the machine
    /// did in a round counts little.
    pub(crate) fn ratio_to(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, other)| own / other).collect())
    }

    fn json(&self) -> Value {
        json!({"min": self.min(), "median": self.median(), "max": self.max(), "rounds": self.0})
    }
}

/// A quantity of one subject.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Whether the row is the gateway's own, which the chart sets off.
    pub(crate) is_gateway: bool,
    pub(crate) values: Series,
    pub(crate) per_second: Option<Series>,
    /// What the section's `ratio` says.
    pub(crate) ratio: Option<Series>,
}

/// Rows that are compared with each other.
#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    pub(crate) rows: Vec<Row>,
    /// What the rows' ratios are, such as `gateway to this`.
    pub(crate) ratio: &'static str,
}

impl Section {
    pub(crate) fn new(title: impl Into<String>, unit: &'static str) -> Self {
        Self { title: title.into(), unit, rows: Vec::new(), ratio: "" }
    }

    /// Adds a value to the row of this name, which it makes if there is none.
    pub(crate) fn push(&mut self, name: &str, value: f64) {
        self.row(name).values.push(value);
    }

    /// Adds the cost of a round: the CPU time of one process, and the requests a second.
    pub(crate) fn push_cost(&mut self, name: &str, cost: &Cost) {
        let row = self.row(name);
        row.values.push(cost.cpu_us[0]);
        row.per_second.get_or_insert_default().push(cost.per_second);
    }

    fn row(&mut self, name: &str) -> &mut Row {
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(Row {
                name: name.to_owned(),
                is_gateway: name.starts_with("gateway"),
                values: Series::default(),
                per_second: None,
                ratio: None,
            });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// The values of the row of this name; `None` if it was not measured.
    pub(crate) fn values(&self, name: &str) -> Option<&Series> {
        self.rows.iter().find(|row| row.name == name).map(|row| &row.values)
    }

    /// The ratio of the row of this name; `None` if it was not measured.
    pub(crate) fn ratio(&self, name: &str) -> Option<&Series> {
        self.rows.iter().find(|row| row.name == name)?.ratio.as_ref()
    }

    /// Divides the row `own` by each other row, round by round.
    pub(crate) fn divide_by_others(&mut self, own: &str) {
        let Some(own_values) = self.values(own).cloned() else { return };
        self.ratio = "gateway to this";
        for row in self.rows.iter_mut().filter(|row| row.name != own) {
            row.ratio = Some(own_values.ratio_to(&row.values));
        }
    }

    /// Divides each other row by the row `base`, round by round. `ratio` says so.
    pub(crate) fn divide_others_by(&mut self, base: &str, ratio: &'static str) {
        let Some(base_values) = self.values(base).cloned() else { return };
        self.ratio = ratio;
        for row in self.rows.iter_mut().filter(|row| row.name != base) {
            row.ratio = Some(row.values.ratio_to(&base_values));
        }
    }
}

impl Section {
    fn print(&self) {
        let title = format!("{}, {}", self.title, self.unit);
        let rate =
            if self.rows.iter().any(|row| row.per_second.is_some()) { "requests" } else { "" };
        let head = format!(
            "{:<56} {:>8} {:>8} {:>8}  {rate:>9}  {}",
            "", "min", "median", "max", self.ratio
        );
        println!("\n{title}\n{}", head.trim_end());
        self.rows.iter().for_each(Row::print);
    }
}

impl Row {
    fn print(&self) {
        let [min, median, max] =
            [self.values.min(), self.values.median(), self.values.max()].map(number);
        let rate = |rate: &Series| format!("{:.0}/s", rate.median());
        let rate = self.per_second.as_ref().map_or_else(String::new, rate);
        let ratio = |ratio: &Series| {
            format!("{:.2} ({:.2} to {:.2})", ratio.median(), ratio.min(), ratio.max())
        };
        let ratio = self.ratio.as_ref().map_or_else(String::new, ratio);
        let line = format!("  {:<54} {min:>8} {median:>8} {max:>8}  {rate:>9}  {ratio}", self.name);
        println!("{}", line.trim_end());
    }
}

/// A whole run.
pub(crate) struct Report {
    pub(crate) title: &'static str,
    pub(crate) environment: Vec<String>,
    pub(crate) left_out: Vec<String>,
    pub(crate) sections: Vec<Section>,
    pub(crate) goals: Vec<Goal>,
}

impl Report {
    pub(crate) fn print(&self) {
        println!("\n{}\n", self.title);
        for line in &self.environment {
            println!("  {line}");
        }
        for line in &self.left_out {
            println!("  left out: {line}");
        }
        self.sections.iter().for_each(Section::print);
        println!("\nGoals, of the median");
        for goal in &self.goals {
            println!("  {goal}");
        }
    }

    /// Writes `<name>.json`, and the chart in light and in dark colours.
    pub(crate) fn write(&self, name: &str, directory: &Path, charts: &Path) {
        for directory in [directory, charts] {
            fs::create_dir_all(directory).unwrap();
        }
        let json = serde_json::to_string_pretty(&self.json()).unwrap() + "\n";
        let file = directory.join(format!("{name}.json"));
        fs::write(&file, json).unwrap();
        println!("\nwritten: {}", file.display());
        for colours in [Colours::LIGHT, Colours::DARK] {
            let file = charts.join(format!("bench-{name}-{}.svg", colours.name));
            fs::write(&file, chart::svg(self, &colours)).unwrap();
            println!("written: {}", file.display());
        }
    }

    fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "name": row.name,
                "values": row.values.json(),
                "per_second": row.per_second.as_ref().map(Series::json),
                "ratio": row.ratio.as_ref().map(Series::json),
            })
        };
        let section = |section: &Section| {
            let rows: Vec<_> = section.rows.iter().map(row).collect();
            json!({"title": section.title, "unit": section.unit, "ratio": section.ratio, "rows": rows})
        };
        json!({
            "title": self.title,
            "environment": self.environment,
            "left_out": self.left_out,
            "sections": self.sections.iter().map(section).collect::<Vec<_>>(),
            "goals": self.goals.iter().map(Goal::json).collect::<Vec<_>>(),
        })
    }
}

/// A value with as many digits as it deserves.
pub(crate) fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
