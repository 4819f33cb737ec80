//! Profiles: sets of defaults, so that an operator need not know every option.

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;

/// What the relay is for.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Profile {
    /// The parties of one household or club, on a small rented machine.
    #[value(name = SMALL_NAME)]
    Small,
    /// Everybody's parties, on a machine of its own.
    #[default]
    Public,
}

/// What an operator writes for [`Profile::Small`].
const SMALL_NAME: &str = "small";

/// The defaults of [`Profile::Small`], by option. docs/defaults.md has the reasons.
const SMALL: [(&str, &str); 8] = [
    ("max_rooms", "8"),
    ("max_members", "256"),
    ("network_connections", "512"),
    ("handshakes", "32"),
    ("retry_above", "50"),
    ("ignore_above", "500"),
    ("silent_connections", "256"),
    ("memory", "256"),
];

/// Options without a heading of their own that `-h` leaves to `--help`.
const RARE: [&str; 4] = ["workers", "no_realtime", "log_format", "cert_name"];

impl Cli {
    /// Reads a command line. What the profile says holds for options that are not given, neither
    /// there nor in the environment.
    ///
    /// # Errors
    ///
    /// Returns an error for bad usage, and for `--help` and `--version`.
    pub(crate) fn read<I, T>(words: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(words)?;

        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// Returns the command line with the profiles' defaults. `-h` shows the options that nearly every
/// operator needs, `--help` all.
pub(super) fn command() -> Command {
    Cli::command().mut_args(|argument| {
        let is_rare =
            RARE.contains(&argument.get_id().as_str()) || argument.get_help_heading().is_some();

        with_profile(argument).hide_short_help(is_rare)
    })
}

fn with_profile(argument: Arg) -> Arg {
    let id = argument.get_id().as_str();
    let Some((_, value)) = SMALL.iter().find(|(option, _)| *option == id) else {
        return argument;
    };

    argument.default_value_if("profile", SMALL_NAME, *value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lanparty_switch::Limits;

    use super::*;

    fn read(arguments: &[&str]) -> Cli {
        Cli::read([&["lanparty-relay"], arguments].concat()).unwrap()
    }

    #[test]
    fn the_public_profile_is_the_default() {
        assert_eq!(read(&[]).run.profile, Profile::Public);
        assert_eq!(
            format!("{:?}", read(&["--profile", "public"])),
            format!("{:?}", read(&[]))
        );
    }

    #[test]
    fn the_small_profile_sets_defaults_and_an_option_wins() {
        let cli = read(&["--max-members", "99", "--profile", "small"]);

        assert_eq!(cli.run.limits.max_rooms, 8);
        assert_eq!(cli.run.limits.max_members, 99);
        assert_eq!(cli.run.connections.memory, 256);
        assert_eq!(
            cli.run.limits.max_clients_per_room,
            Limits::default().clients_per_room,
            "what the profile does not name stays"
        );
    }

    #[test]
    fn every_option_of_the_profile_exists_and_is_documented_with_both_values() {
        let document = include_str!("../../../../docs/defaults.md");
        let rows: BTreeSet<_> = document.lines().collect();
        for (id, small) in SMALL {
            let command = command();
            let option = command
                .get_arguments()
                .find(|argument| argument.get_id() == id)
                .unwrap();
            let public = option.get_default_values()[0].to_str().unwrap();
            let row = format!("| `--{}` | {public} | {small} |", id.replace('_', "-"));
            assert!(
                rows.iter().any(|line| line.starts_with(&row)),
                "docs/defaults.md lacks {row}"
            );
        }
    }

    #[test]
    fn short_help_is_short_and_long_help_has_everything() {
        let short = command().render_help().to_string();
        let long = command().render_long_help().to_string();

        for option in ["--listen", "--dev-cert-out", "--cert", "--profile", "--log"] {
            assert!(short.contains(option), "{option}: {short}");
        }
        let shown = |help: &str| {
            let lines = help.lines().map(str::trim_start);
            lines.filter(|line| line.starts_with("--")).count()
        };
        assert!(shown(&short) < 12, "{short}");
        for argument in command().get_arguments() {
            let is_shown = argument
                .get_long()
                .is_none_or(|name| long.contains(&format!("--{name}")));
            assert!(is_shown || argument.is_hide_set(), "{argument}");
        }
    }

    #[test]
    fn names_of_earlier_releases_are_taken() {
        let cli = read(&[
            "--strikes",
            "3/9",
            "--max-strikes",
            "7",
            "--keep-place",
            "5",
        ]);

        assert_eq!(cli.run.limits.violations.per_second, 3);
        assert_eq!(cli.run.limits.max_violations, 7);
        assert_eq!(cli.run.limits.keep_membership, 5);
    }
}
