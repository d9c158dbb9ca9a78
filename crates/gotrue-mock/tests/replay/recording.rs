//! The recorded exchanges with the real GoTrue: `fixtures/gotrue/scenarios.json`.

use std::{collections::BTreeMap, sync::LazyLock};

use gotrue_mock::Person;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The address of the recorded server, which stands in links and issuers.
const RECORDED_ADDRESS: &str = "http://127.0.0.1:54321";

/// The addresses of the recorded identity providers, and the names under which the mock plays them: the authorization
/// endpoints and the issuers.
const RECORDED_PROVIDERS: [(&str, &str); 4] = [
    ("http://127.0.0.1:9921/kc/protocol/openid-connect/auth", "keycloak"),
    ("http://127.0.0.1:9921/kc", "keycloak"),
    ("http://127.0.0.1:9921/gh/login/oauth/authorize", "github"),
    ("http://127.0.0.1:9921/gh/api/v3", "github"),
];

/// A recorded text with the mock at `address` in place of the recorded server and of the identity providers.
pub(crate) fn local_text(recorded: &str, address: &str) -> String {
    let encoded = |text: &str| text.replace(':', "%3A").replace('/', "%2F");
    let mut text = recorded
        .replace(RECORDED_ADDRESS, address)
        .replace(&encoded(RECORDED_ADDRESS), &encoded(address));
    for (recorded, provider) in RECORDED_PROVIDERS {
        text = text.replace(recorded, &format!("{address}/mock/consent/{provider}"));
    }
    text
}

#[derive(Deserialize)]
struct File {
    people: BTreeMap<String, RecordedPerson>,
    exchanges: Vec<Exchange>,
}

/// One request, its reply, and what it changed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    /// Its place in the file, which has the exchanges in the order in which they were recorded.
    #[serde(skip)]
    pub(crate) number: usize,
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

/// Scenarios whose users other scenarios meet: the recorder played all of them on one database.
const PREREQUISITES: [(&str, &str); 6] = [
    ("admin-list", "admin-create-full"),
    ("user-update", "user-taken"),
    ("user-update", "user-taken-phone"),
    ("anonymous-taken", "anonymous-taken-by"),
    ("limit-mails", "limit-mail-frequency"),
    ("hook-refused-old-api", "hook-refused"),
];

/// The scenario that lists the audit log, in which all scenarios before it have left their entries.
const LISTS_EVERYTHING: &str = "admin-audit";

impl Scenario {
    pub(crate) fn title(&self) -> &str {
        &self.exchanges[0].scenario
    }

    /// The scenarios that must be played before this one.
    pub(crate) fn prerequisites(&self) -> impl Iterator<Item = &'static Self> {
        let number = |scenario: &Self| scenario.exchanges[0].number;
        let is_before = move |other: &&'static Self| {
            PREREQUISITES.contains(&(self.title(), other.title()))
                || self.title() == LISTS_EVERYTHING && number(other) < number(self)
        };
        scenarios().iter().filter(is_before)
    }
}

/// What the recorded identity providers said about a person.
#[derive(Deserialize)]
struct RecordedPerson {
    /// The id at Keycloak.
    sub: Option<String>,
    /// The id at GitHub.
    id: Option<u64>,
    login: Option<String>,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    name: String,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// The people at the identity providers, by the codes with which they came back.
pub(crate) fn people() -> BTreeMap<String, Person> {
    let person = |recorded: RecordedPerson| {
        let is_github = recorded.id.is_some();
        Person {
            subject: recorded
                .sub
                .or_else(|| recorded.id.map(|id| id.to_string()))
                .unwrap_or_default(),
            email: recorded.email,
            email_verified: recorded.email_verified,
            name: recorded.name,
            user_name: recorded.login,
            avatar_url: is_github.then(|| "https://avatars.example.com/1".to_owned()),
            custom_claims: (!is_github).then_some(recorded.others),
        }
    };
    read_file().people.into_iter().map(|(code, recorded)| (code, person(recorded))).collect()
}

/// All scenarios.
pub(crate) fn scenarios() -> &'static [Scenario] {
    static SCENARIOS: LazyLock<Vec<Scenario>> = LazyLock::new(read);
    &SCENARIOS
}

fn read_file() -> File {
    serde_json::from_str(include_str!("../../../../fixtures/gotrue/scenarios.json")).unwrap()
}

fn read() -> Vec<Scenario> {
    let file = read_file();
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (number, mut exchange) in file.exchanges.into_iter().enumerate() {
        exchange.number = number;
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
