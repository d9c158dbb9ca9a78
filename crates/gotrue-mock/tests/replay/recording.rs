//! The recorded exchanges with the real GoTrue: `fixtures/gotrue/scenarios.json`.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

/// The address of the recorded server, which stands in links and issuers.
pub(crate) const RECORDED_ADDRESS: &str = "http://127.0.0.1:54321";

#[derive(Deserialize)]
struct File {
    exchanges: Vec<Exchange>,
}

/// One request, its reply, and what it changed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) scenario: String,
    pub(crate) instance: String,
    /// What happens before it outside of HTTP.
    #[serde(default)]
    pub(crate) prepared: Vec<Value>,
    pub(crate) request: Request,
    pub(crate) response: Response,
    #[serde(default)]
    pub(crate) mails: Vec<Value>,
    #[serde(default)]
    pub(crate) texts: Vec<Value>,
    /// The claims of the access tokens that the reply brought.
    #[serde(default)]
    pub(crate) claims: BTreeMap<String, Value>,
    /// The user whose rows `before` and `after` count: an address, a number or an id.
    pub(crate) who: Option<String>,
    /// The user's rows before the request. Only if it changed more than the counts, other rows are listed.
    #[serde(default)]
    pub(crate) before: BTreeMap<String, Value>,
    /// The rows that were different after the request, and the counts.
    #[serde(default)]
    pub(crate) after: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// The exchanges of one scenario, in their order.
pub(crate) struct Scenario {
    pub(crate) topic: String,
    pub(crate) exchanges: Vec<Exchange>,
}

/// Scenarios that were recorded with the rows that another one left.
const CONTINUED: [(&str, &str); 2] =
    [("limit-mails", "limit-mail-frequency"), ("hook-refused-old-api", "hook-refused")];

impl Scenario {
    /// The scenario that must be played before.
    pub(crate) fn predecessor(&self) -> Option<&'static Self> {
        let name = self.exchanges[0].scenario.as_str();
        let (_, before) = CONTINUED.iter().find(|(after, _)| *after == name)?;
        scenarios().iter().find(|scenario| scenario.exchanges[0].scenario == *before)
    }
}

/// All scenarios.
pub(crate) fn scenarios() -> &'static [Scenario] {
    static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(read);
    &SCENARIOS
}

fn read() -> Vec<Scenario> {
    let file: File =
        serde_json::from_str(include_str!("../../../../fixtures/gotrue/scenarios.json")).unwrap();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for exchange in file.exchanges {
        let known =
            scenarios.iter_mut().find(|known| known.exchanges[0].scenario == exchange.scenario);
        match known {
            Some(known) => known.exchanges.push(exchange),
            None => scenarios
                .push(Scenario { topic: exchange.topic.clone(), exchanges: vec![exchange] }),
        }
    }
    scenarios
}
