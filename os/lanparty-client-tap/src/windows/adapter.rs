//! The TAP adapters of this PC, as the registry and the Plug and Play manager know them.

use std::fmt;

use lanparty_win32::{DevNode, Guid, Key, ParseGuidError, Win32Error};

/// `GUID_DEVCLASS_NET`: where drivers of network adapters keep their settings.
const CLASS: &str =
    r"SYSTEM\CurrentControlSet\Control\Class\{4D36E972-E325-11CE-BFC1-08002BE10318}";
/// Where Windows keeps the names that people give to adapters.
const NETWORK: &str =
    r"SYSTEM\CurrentControlSet\Control\Network\{4D36E972-E325-11CE-BFC1-08002BE10318}";
/// Component ids of TAP-Windows6, compared without case (`OemVista.inf`).
const COMPONENTS: [&str; 2] = ["tap0901", r"root\tap0901"];

/// The id that Windows gives to an adapter (`NetCfgInstanceId`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdapterId(pub Guid);

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for AdapterId {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A TAP-Windows6 adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its id.
    pub id: AdapterId,
    /// The name that people see, for example `Ethernet 2`.
    pub name: String,
    /// The id of its device, for example `ROOT\NET\0003`.
    pub instance_id: String,
    /// What Windows says of it.
    pub state: AdapterState,
    /// Where its settings are, below `HKEY_LOCAL_MACHINE`.
    pub(crate) key: String,
}

/// What Windows says of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterState {
    /// It works.
    Works,
    /// Somebody disabled it.
    Disabled,
    /// It has this problem, as the Device Manager numbers them.
    Problem(u32),
}

impl fmt::Display for AdapterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => f.write_str("works"),
            Self::Disabled => f.write_str("disabled"),
            Self::Problem(code) => write!(f, "code {code}"),
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\" ({})", self.id, self.name, self.state)
    }
}

/// Returns the TAP-Windows6 adapters that are installed. Traces of removed ones are left out.
///
/// # Errors
///
/// Returns an error if Windows' list of network adapters cannot be read.
pub fn adapters() -> Result<Vec<Adapter>, Win32Error> {
    let class = Key::open(CLASS)?;

    Ok(class
        .children()
        .iter()
        // Some of the keys are not for us to read, and are no adapters.
        .filter_map(|name| read(name, &class.child(name).ok()?))
        .collect())
}

fn read(name: &str, key: &Key) -> Option<Adapter> {
    let component = key.text("ComponentId")?.to_lowercase();
    if !COMPONENTS.contains(&component.as_str()) {
        return None;
    }
    let id: Guid = key.text("NetCfgInstanceId")?.parse().ok()?;
    let instance_id = key.text("DeviceInstanceID").unwrap_or_default();
    let state = match DevNode::of(&instance_id) {
        DevNode::Absent => return None,
        DevNode::Disabled => AdapterState::Disabled,
        DevNode::Problem(code) => AdapterState::Problem(code),
        DevNode::Works => AdapterState::Works,
    };
    let connection = Key::open(&format!(r"{NETWORK}\{id}\Connection")).ok();

    Some(Adapter {
        id: AdapterId(id),
        name: connection
            .and_then(|key| key.text("Name"))
            .unwrap_or_else(|| "TAP".into()),
        instance_id,
        state,
        key: format!(r"{CLASS}\{name}"),
    })
}

/// Chooses the adapter to use: the one that is asked for, or the only one.
///
/// # Errors
///
/// Returns an error that says what to do if there is none, or several and none was asked for, or it cannot be used.
pub fn choose(adapters: &[Adapter], wanted: Option<AdapterId>) -> Result<&Adapter, ChooseError> {
    let adapter = match (wanted, adapters) {
        (_, []) => return Err(ChooseError::None),
        (Some(id), all) => {
            all.iter()
                .find(|adapter| adapter.id == id)
                .ok_or_else(|| ChooseError::Unknown {
                    id,
                    there: AdapterList::of(all),
                })?
        }
        (None, [only]) => only,
        (None, several) => return Err(ChooseError::Several(AdapterList::of(several))),
    };

    match adapter.state {
        AdapterState::Works => Ok(adapter),
        AdapterState::Disabled => Err(ChooseError::Disabled(adapter.name.clone())),
        AdapterState::Problem(code) => Err(ChooseError::Problem {
            name: adapter.name.clone(),
            code,
        }),
    }
}

/// Why no adapter was chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// There is none.
    #[error(
        "there is no TAP-Windows6 adapter; install the driver (OpenVPN's installer has it, feature \"TAP-Windows6\") and start again"
    )]
    None,
    /// There are several.
    #[error("there are several TAP adapters; name one with --tap-instance-id: {0}")]
    Several(AdapterList),
    /// The one that was asked for is not there.
    #[error("there is no TAP adapter {id}; there is {there}")]
    Unknown {
        /// Who was asked for.
        id: AdapterId,
        /// Who is there.
        there: AdapterList,
    },
    /// Somebody disabled it.
    #[error(
        "the TAP adapter \"{0}\" is disabled; enable it under \"Network Connections\" (ncpa.cpl) and start again"
    )]
    Disabled(String),
    /// Windows has a problem with it.
    #[error("the TAP adapter \"{name}\" does not work: {}", problem(*code))]
    Problem {
        /// Its name.
        name: String,
        /// The problem's number.
        code: u32,
    },
}

/// What a person can do about a problem code (Microsoft, "Error codes in Device Manager in Windows").
fn problem(code: u32) -> String {
    let remedy = match code {
        52 => "Windows does not trust the driver's signature; install TAP-Windows6 9.26 or later",
        28 | 31 | 37 | 39 => {
            "its driver is missing or broken; remove it in the Device Manager and install TAP-Windows6 again"
        }
        14 => "it works after a restart of the PC",
        56 => {
            "another program's network filter holds it up; restart the PC, then install TAP-Windows6 again"
        }
        _ => "look at it in the Device Manager",
    };

    format!("{remedy} (code {code})")
}

/// Adapters, for a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterList(Vec<String>);

impl AdapterList {
    fn of(adapters: &[Adapter]) -> Self {
        Self(adapters.iter().map(ToString::to_string).collect())
    }
}

impl fmt::Display for AdapterList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(number: u128, state: AdapterState) -> Adapter {
        Adapter {
            id: AdapterId(Guid(number)),
            name: format!("Ethernet {number}"),
            instance_id: format!(r"ROOT\NET\{number:04}"),
            state,
            key: String::new(),
        }
    }

    #[test]
    fn the_only_adapter_is_used_as_is() {
        let only = [adapter(1, AdapterState::Works)];

        assert_eq!(choose(&only, None), Ok(&only[0]));
    }

    #[test]
    fn one_of_several_has_to_be_named() {
        let two = [1, 2].map(|number| adapter(number, AdapterState::Works));
        let error = choose(&two, None).unwrap_err().to_string();
        assert!(error.contains("--tap-instance-id"), "{error}");
        assert!(
            error.contains("{00000000-0000-0000-0000-000000000002} \"Ethernet 2\" (works)"),
            "{error}"
        );

        assert_eq!(choose(&two, Some(two[1].id)), Ok(&two[1]));
        let other = Some(AdapterId(Guid(3)));
        assert!(matches!(
            choose(&two, other),
            Err(ChooseError::Unknown { .. })
        ));
    }

    #[test]
    fn no_adapter_and_a_bad_one_are_told_apart() {
        let sentence = |state| choose(&[adapter(1, state)], None).unwrap_err().to_string();

        assert!(
            choose(&[], None)
                .unwrap_err()
                .to_string()
                .contains("install the driver")
        );
        assert!(sentence(AdapterState::Disabled).contains("\"Ethernet 1\" is disabled; enable it"));
        assert!(sentence(AdapterState::Problem(52)).contains("signature"));
        assert!(sentence(AdapterState::Problem(99)).contains("(code 99)"));
    }

    #[test]
    fn finds_the_adapter_in_the_registry() {
        let found = adapters().unwrap();
        let [only] = &found[..] else {
            panic!("the test environment has one adapter, not {found:?}");
        };

        assert_eq!(only.name, "Ethernet 7");
        assert_eq!(only.state, AdapterState::Works);
        assert_eq!(only.instance_id, r"ROOT\NET\0007");
    }
}
