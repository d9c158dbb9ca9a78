//! The macro that makes structs, flags, parsing and the start line from one list of settings.

/// Defines groups of settings:
///
/// ```text
/// /// What the group is about.
/// group: Struct under "Heading of its flags" {
///     /// The help text of the flag, which is also the field's documentation.
///     field: Type = "VARIABLE" <"VALUE NAME">, rule, else default;
/// }
/// ```
///
/// A rule takes the text and returns the value, or the rule that the text breaks. A default may use the groups
/// before its own, and the fields of its own group: earlier ones by value, later ones as an `Option`.
macro_rules! settings {
    ($(
        $(#[doc = $about:literal])*
        $group:ident: $struct:ident under $heading:literal {
            $(
                $(#[doc = $help:literal])*
                $field:ident: $type:ty = $variable:literal <$value_name:literal>, $rule:expr, else $default:expr;
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

        /// The configuration. Every value in it is valid.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $about])* pub $group: $struct,)*
        }

        /// Every setting, in the order of the help.
        pub(super) static SETTINGS: &[Setting] = &[$($(Setting {
            heading: $heading,
            variable: $variable,
            value_name: $value_name,
            help: &[$($help),*],
        },)*)*];

        impl Config {
            /// Reads every setting. After an error the default replaces the value, so that the other settings are
            /// still read.
            pub(super) fn read(mut args: Args, errors: &mut ConfigErrors) -> Option<Self> {
                $(let $group = {
                    $(let $field = errors.read($variable, args.take($variable), $rule);)*
                    $(let $field: $type = match $field { Some(value) => value, None => $default };)*
                    $struct { $($field),* }
                };)*
                Some(Self { $($group),* })
            }

            /// Logs the version and every setting, each under its variable; of a secret only whether it is set.
            pub(crate) fn log_start(&self) {
                tracing::info!(
                    { version = env!("CARGO_PKG_VERSION"), $($($variable = %self.$group.$field.log_value()),*),* },
                    "starting"
                );
            }
        }
    };
}

pub(super) use settings;
