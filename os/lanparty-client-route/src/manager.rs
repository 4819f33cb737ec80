//! Takes steps, keeps them, and takes them back.

use std::fmt;

use crate::{
    Added, DesiredState, Journal, JournalError, JournalStore, Pin, Plan, Route, RouteSystem, Step,
    SystemError, best_route, plan,
};

/// Keeps a system as the party needs it, and gives it back as it was.
///
/// 1. [`RouteManager::open`] undoes what a run that crashed left behind.
/// 2. [`RouteManager::ensure`] does what is missing for a desired: at the start, and again whenever the system has changed.
/// 3. [`RouteManager::restore`] undoes everything. Dropping does the same, but tells nobody.
#[derive(Debug)]
pub struct RouteManager<S: RouteSystem, J: JournalStore> {
    system: S,
    store: J,
    journal: Journal,
}

/// What was done for a desired, and how the system looked after it.
#[derive(Debug, Default)]
pub struct Report {
    /// What was done.
    pub done: Vec<Step>,
    /// How each relay address is reached.
    pub pins: Vec<Pin>,
    /// Whether the TAP's default routes were not ignored before.
    pub default_routes_enabled: bool,
    /// Default routes by the TAP; Windows ignores them while its interface says so.
    pub default_routes: Vec<Route>,
    /// What is not as wished, and why.
    pub problems: Vec<Problem>,
}

/// What is not as wished although the run goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The system cannot do it, or would not for something that the party can do without.
    Refused {
        /// What was tried.
        step: Step,
        /// Why not.
        cause: SystemError,
    },
    /// The system said yes, and it is not so.
    NotTaken(Step),
    /// Packets for the relay would leave by the TAP.
    RelayThroughTap(Route),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { step, cause } => write!(f, "could not {step}: {cause}"),
            Self::NotTaken(step) => write!(f, "Windows did not {step} although it said so"),
            Self::RelayThroughTap(route) => {
                write!(f, "the party's LAN captures the way to the relay ({route})")
            }
        }
    }
}

/// What undoing did.
#[derive(Debug, Default)]
pub struct Repair {
    /// What was undone, the newest first.
    pub undone: Vec<Step>,
    /// What could not be undone. It stays in the journal for the next start.
    pub left: Vec<(Step, SystemError)>,
}

/// Why a desired was not fulfilled. What had been done for it was undone again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnsureError {
    /// The system cannot be read.
    #[error("failed to read routes and interfaces")]
    Snapshot(#[source] SystemError),
    /// The journal cannot be kept, and nothing is done without it.
    #[error("failed to keep the undo journal")]
    Journal(#[from] JournalError),
    /// A step failed.
    #[error("failed to {step}")]
    Step {
        /// The step.
        step: Step,
        /// What the system said.
        #[source]
        source: SystemError,
    },
}

impl<S: RouteSystem, J: JournalStore> RouteManager<S, J> {
    /// Reads the journal and undoes what is in it.
    ///
    /// # Errors
    ///
    /// Returns an error if the journal cannot be read or written. What cannot be undone is no error but told.
    pub fn open(system: S, mut store: J) -> Result<(Self, Repair), JournalError> {
        let journal = store.load()?;
        let mut manager = Self {
            system,
            store,
            journal,
        };
        let repair = manager.unwind(0)?;

        Ok((manager, repair))
    }

    /// Returns what would be undone now.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns the system, for looking.
    pub fn system(&mut self) -> &mut S {
        &mut self.system
    }

    /// Does what is missing for `desired`, removes pins of ours that are not wanted any more, and reads everything back.
    ///
    /// # Errors
    ///
    /// Returns an error if a step fails that the party cannot do without; what this call had done is undone then.
    pub fn ensure(&mut self, desired: &DesiredState) -> Result<Report, EnsureError> {
        let plan = self.missing(desired)?;
        let mut report = Report {
            default_routes_enabled: plan.default_routes_enabled,
            ..Report::default()
        };
        let mark = self.journal.steps().len();
        for step in plan.steps {
            if let Err(error) = self.take(&step, &mut report) {
                self.unwind(mark)?;
                return Err(error);
            }
        }
        self.retire(&plan.pins)?;
        self.verify(desired, &mut report)?;

        Ok(report)
    }

    /// Undoes everything, the newest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the journal cannot be written. What cannot be undone is no error but told.
    pub fn restore(mut self) -> Result<Repair, JournalError> {
        self.unwind(0)
    }

    fn missing(&mut self, desired: &DesiredState) -> Result<Plan, EnsureError> {
        let tap = desired
            .tap
            .as_ref()
            .map(|tap| (tap.interface, &tap.adapter));
        let snapshot = self.system.snapshot(tap).map_err(EnsureError::Snapshot)?;

        Ok(plan(desired, &snapshot, &self.own_routes()))
    }

    fn own_routes(&self) -> Vec<Route> {
        let steps = self.journal.steps().iter();

        steps
            .filter_map(|step| match step {
                Step::AddRoute(route) => Some(*route),
                Step::SetInterface { .. } | Step::SetCategory { .. } => None,
            })
            .collect()
    }

    /// Writes a step down, then takes it.
    fn take(&mut self, step: &Step, report: &mut Report) -> Result<(), EnsureError> {
        let is_new = self.journal.push(step)?;
        if is_new && let Err(error) = self.store.save(&self.journal) {
            self.journal.remove(step);
            return Err(error.into());
        }
        match act(&mut self.system, step) {
            Ok(Added::New) => report.done.push(step.clone()),
            // Somebody was faster, and it is theirs.
            Ok(Added::Existed) if is_new => self.forget(step)?,
            Ok(Added::Existed) => {}
            Err(cause) if cause.is_missing() || step.is_optional() => {
                if is_new {
                    self.forget(step)?;
                }
                let step = step.clone();
                report.problems.push(Problem::Refused { step, cause });
            }
            Err(source) => {
                let step = step.clone();
                return Err(EnsureError::Step { step, source });
            }
        }

        Ok(())
    }

    fn forget(&mut self, step: &Step) -> Result<(), JournalError> {
        self.journal.remove(step);

        self.store.save(&self.journal)
    }

    /// Removes host routes of ours that no pin wants: the way to the Internet has changed. The new ones are there already.
    fn retire(&mut self, pins: &[Pin]) -> Result<(), EnsureError> {
        let wanted = |route: &Route| pins.contains(&Pin::Ours(*route));
        let stale = |step: &&Step| match step {
            Step::AddRoute(route) => {
                let is_pin = pins.iter().any(|pin| is_for(pin, route));
                is_pin && !wanted(route)
            }
            Step::SetInterface { .. } | Step::SetCategory { .. } => false,
        };
        let stale: Vec<Step> = self.journal.steps().iter().filter(stale).cloned().collect();
        for step in stale {
            match take_back(&mut self.system, &step) {
                Ok(()) => self.forget(&step)?,
                Err(source) => return Err(EnsureError::Step { step, source }),
            }
        }

        Ok(())
    }

    fn verify(&mut self, desired: &DesiredState, report: &mut Report) -> Result<(), EnsureError> {
        let tap = desired
            .tap
            .as_ref()
            .map(|tap| (tap.interface, &tap.adapter));
        let snapshot = self.system.snapshot(tap).map_err(EnsureError::Snapshot)?;
        let plan = plan(desired, &snapshot, &self.own_routes());
        for step in plan.steps {
            let is_known = report
                .problems
                .iter()
                .any(|problem| matches!(problem, Problem::Refused { step: refused, .. } if *refused == step));
            if !is_known {
                report.problems.push(Problem::NotTaken(step));
            }
        }
        if let Some((tap, _)) = tap {
            let captured = desired.relays.iter().filter_map(|relay| {
                let best = best_route(&snapshot, *relay, |_| true)?;
                (best.interface == tap).then_some(Problem::RelayThroughTap(best))
            });
            report.problems.extend(captured);
        }
        report.pins = plan.pins;
        report.default_routes = plan.default_routes;

        Ok(())
    }

    /// Undoes what is in the journal from `mark` on, the newest first.
    fn unwind(&mut self, mark: usize) -> Result<Repair, JournalError> {
        let steps = self.journal.steps().get(mark..).unwrap_or_default();
        let steps: Vec<Step> = steps.iter().rev().cloned().collect();
        let mut repair = Repair::default();
        for step in steps {
            match take_back(&mut self.system, &step) {
                Ok(()) => {
                    self.journal.remove(&step);
                    repair.undone.push(step);
                }
                // What cannot be done here was never done here.
                Err(error) if error.is_missing() => self.journal.remove(&step),
                Err(error) => repair.left.push((step, error)),
            }
        }
        self.store.save(&self.journal)?;

        Ok(repair)
    }
}

impl<S: RouteSystem, J: JournalStore> Drop for RouteManager<S, J> {
    fn drop(&mut self) {
        if !self.journal.is_empty() && self.unwind(0).is_err() {
            // The journal is as it was, and the next start undoes what this one could not.
        }
    }
}

/// Returns whether `route` is for the address that `pin` is about.
fn is_for(pin: &Pin, route: &Route) -> bool {
    match pin {
        Pin::Ours(pin) | Pin::Existing(pin) => pin.destination == route.destination,
        // The way there is lost; the old route goes with its interface, and does no harm until then.
        Pin::Loopback(_) | Pin::NoRoute(_) => false,
    }
}

fn act(system: &mut impl RouteSystem, step: &Step) -> Result<Added, SystemError> {
    match step {
        Step::AddRoute(route) => system.add_route(route),
        Step::SetInterface {
            interface,
            family,
            to,
            ..
        } => system
            .set_interface(*interface, *family, to)
            .map(|()| Added::New),
        Step::SetCategory { adapter, to, .. } => {
            system.set_category(adapter, *to).map(|()| Added::New)
        }
    }
}

fn take_back(system: &mut impl RouteSystem, step: &Step) -> Result<(), SystemError> {
    match step {
        Step::AddRoute(route) => system.delete_route(route),
        Step::SetInterface {
            interface,
            family,
            from,
            to,
        } => {
            let Some(now) = system.interface(*interface, *family)? else {
                return Ok(());
            };
            let restored = now.settings.restored(from, to);
            if restored == now.settings {
                return Ok(());
            }
            system.set_interface(*interface, *family, &restored)
        }
        Step::SetCategory { adapter, from, to } => {
            if system.category(adapter)? == Some(*to) {
                system.set_category(adapter, *from)?;
            }
            Ok(())
        }
    }
}
