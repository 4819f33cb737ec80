//! Members of a native room whose connections carry less than its MTU needs: everybody is told.

use lanparty_ctrl::{Message, Mode, RoomBudget};

use super::Switch;
use crate::output::Output;
use crate::refusal::needed_budget;

impl Switch {
    /// Tells the members of a native room what fits the connections of all, if that changed (`docs/protocol.md`, 5.5).
    ///
    /// A native room's MTU fits everybody when they join. A path that shrinks later would silently lose what senders still take for
    /// fitting; told, they fragment it or answer "packet too big".
    pub(crate) fn tell_budget(&mut self, room_slot: usize) {
        let Some(room) = self.rooms.get_mut(room_slot) else {
            return;
        };
        let connected = (room.members.iter()).filter(|(_, member)| member.conn.is_some());
        let least = connected.map(|(_, member)| member.budget).min();
        let needed = needed_budget(room.mode, room.mtu);
        let clamped_budget = least
            .filter(|least| room.mode == Mode::Native && *least < needed)
            .and_then(|least| u16::try_from(least).ok());
        if std::mem::replace(&mut room.clamped_budget, clamped_budget) == clamped_budget {
            return;
        }
        let message = Message::RoomBudget(RoomBudget {
            budget: clamped_budget,
        });
        let hearing = (room.members.iter()).filter(|(_, member)| member.hears_budget);
        let messages = hearing
            .flat_map(|(_, member)| member.listeners())
            .map(|conn| Output::Send {
                conn,
                message: message.clone(),
            });
        self.outputs.extend(messages);
    }
}
