//! The macro that generates the configuration's structs, flags, parsing and start-up log line from one list
//! of settings.

/// Defines groups of settings:
///
/// ```text
/// /// What the group is about.
/// group: Struct under "Heading of its flags" {
///     /// The help text of the flag, which is also the field's documentation.
///     field: Type = "VARIABLE" <"VALUE NAME">, rule, else default;
///     /// A setting without a flag, because other users of the machine can read a process's flags.
///     field: Type = secret "VARIABLE" <"VALUE NAME">, rule, else default;
///     /// A setting with a flag, whose value may also come from a file.
///     field: Type = flag_or_file "VARIABLE" <"VALUE NAME">, rule, else default;
/// }
/// ```
///
/// A rule is a function that takes the text and returns the value, or the rule that the text breaks. The
/// expression of a default may use earlier groups, and other fields of its own group: fields defined before
/// it have their final values, and fields defined after it are `Option`s, which are `None` if the variable is
/// not set.
macro_rules! settings {
    ($(
        $(#[doc = $about:literal])*
        $group:ident: $struct:ident under $heading:literal {
            $(
                $(#[doc = $help:literal])*
                $field:ident: $type:ty = $($source:ident)? $variable:literal <$value_name:literal>, $rule:expr, else $default:expr;
            )*
        }
    )*) => {
        $(
            $(#[doc = $about])*
            #[derive(Clone, Debug)]
            pub struct $struct {
                $($(#[doc = $help])* pub $field: $type,)*
            }
        )*

        /// The checked configuration. Every value in it is valid.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $about])* pub $group: $struct,)*
        }

        /// Every setting, in the order of `--help`.
        pub(super) static SETTINGS: &[Setting] = &[$($(Setting {
            heading: $heading,
            source: source!($($source)?),
            variable: $variable,
            file_variable: concat!($variable, "_FILE"),
            value_name: $value_name,
            help: &[$($help),*],
        },)*)*];

        impl Config {
            /// Reads every setting. The default replaces an invalid value, so that errors of the other
            /// settings are found as well.
            pub(super) fn read(mut args: Args, errors: &mut ConfigErrors) -> Option<Self> {
                $(let $group = {
                    $(let $field = args.read($variable, concat!($variable, "_FILE"), $rule, errors);)*
                    $(let $field: $type = match $field { Some(value) => value, None => $default };)*
                    $struct { $($field),* }
                };)*
                Some(Self { $($group),* })
            }

            /// Logs the version and the value of every setting, each as a field named after its variable. For
            /// a secret the log shows only whether it is set.
            pub(crate) fn log_start(&self) {
                tracing::info!(
                    { version = env!("CARGO_PKG_VERSION"), $($($variable = %self.$group.$field.log_value()),*),* },
                    "starting"
                );
            }
        }
    };
}

/// The [`Source`](super::flags::Source) of a setting.
macro_rules! source {
    () => {
        Source::Flag
    };
    (secret) => {
        Source::File
    };
    (flag_or_file) => {
        Source::FlagOrFile
    };
}

pub(super) use {settings, source};
