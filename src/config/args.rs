//! Implements clap's `Args` for the raw settings, so that `serve`, `check` and `health` have a flag for each
//! setting that is not a secret. Reads the variables of secrets from the environment.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fmt::Write as _,
};

use clap::{ArgMatches, Command, Error, FromArgMatches, error::ErrorKind, parser::ValueSource};
use url::Url;

use super::{
    error::ConfigErrors,
    flags::{Args, Setting, Source},
    settings::SETTINGS,
    store::StoreAddress,
};

impl Args {
    /// The raw values of `settings`, without those of the environment. A name is a variable, the variable of a
    /// file (`<VARIABLE>_FILE`), or a flag without its hyphens; for a secret, the flag that it would have. `None`
    /// if a name is not that of a setting.
    pub fn of_settings<N: AsRef<str>, V: AsRef<OsStr>>(
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Option<Self> {
        let values = settings.into_iter().map(|(name, value)| {
            let variable =
                SETTINGS.iter().find_map(|setting| setting.variable_named(name.as_ref()))?;
            Some((variable, value.as_ref().to_owned()))
        });
        values.collect::<Option<_>>().map(Self)
    }

    /// The raw values of all settings: of the flag, or without a flag, of the variable and of the variable
    /// `<VARIABLE>_FILE`.
    fn collect(matches: &ArgMatches) -> Result<Self, Error> {
        let mut values = Self(BTreeMap::new());
        for setting in SETTINGS {
            let mut add = |variable, value: Option<OsString>| {
                values.0.extend(value.map(|value| (variable, value)));
            };
            if setting.source == Source::File {
                add(setting.variable, env::var_os(setting.variable));
                add(setting.file_variable, env::var_os(setting.file_variable));
                continue;
            }
            let value = matches.get_one::<OsString>(setting.variable);
            let is_flag = matches.value_source(setting.variable) == Some(ValueSource::CommandLine);
            if setting.source == Source::FlagOrFile {
                if is_flag && value.is_some_and(|value| has_password(value)) {
                    let error = format!("--{}: {PASSWORD_IN_FLAG}\n", setting.flag());
                    return Err(Error::raw(ErrorKind::ValueValidation, error));
                }
                let file = env::var_os(setting.file_variable);
                add(setting.file_variable, file.filter(|_| !is_flag));
            }
            add(setting.variable, value.cloned());
        }
        Ok(values)
    }
}

/// Other users of the machine can read a process's flags.
const PASSWORD_IN_FLAG: &str = "must not have a user or a password in a flag, which other users of the machine can read: set the \
                                variable, or name a file with the value in the variable that ends in `_FILE`";

/// Whether the value of a flag is a URL with a user or a password. Some servers take a token as the user.
fn has_password(value: &OsStr) -> bool {
    let url = value.to_str().and_then(|text| Url::parse(text).ok());
    url.is_some_and(|url| url.password().is_some() || !url.username().is_empty())
}

impl StoreAddress {
    /// The store that `flag` names. Without a flag, it is the value of `GATEWAY_STORE`, or the content of the
    /// file that `GATEWAY_STORE_FILE` names; it is an error to set both variables.
    pub(crate) fn of_flag(flag: Option<OsString>) -> Result<Self, ConfigErrors> {
        const VARIABLE: &str = "GATEWAY_STORE";
        const FILE: &str = "GATEWAY_STORE_FILE";
        let mut errors = ConfigErrors::default();
        let names: &[&str] = if flag.is_some() { &[] } else { &[VARIABLE, FILE] };
        if flag.as_deref().is_some_and(has_password) {
            errors.add(VARIABLE, PASSWORD_IN_FLAG);
            return Err(errors);
        }
        let of_environment = names.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
        let values = flag.map(|value| (VARIABLE, value)).into_iter().chain(of_environment);
        let mut args = Args(values.collect());
        let address = args.read(VARIABLE, FILE, Self::parse, &mut errors);
        if address.is_none() && errors.is_empty() {
            errors.add(VARIABLE, "is required");
        }
        address.ok_or(errors)
    }
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().filter_map(Setting::arg)).after_help(secrets_help())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::collect(matches)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The help text about secrets, which have no flag.
fn secrets_help() -> String {
    let mut help = "Secrets, which have no flag, because other users of the machine can read a process's flags:\n".to_owned();
    for setting in SETTINGS.iter().filter(|setting| setting.source == Source::File) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            help,
            "  {}, or {} with the name of a file\n          {}\n",
            setting.variable,
            setting.file_variable,
            setting.help(),
        );
    }
    help
}
