//! What the policy is told beside the market's features: its own position, free of scale.

/// Names of the components, in order; they follow the features in the policy's state.
pub const POSITION_NAMES: [&str; 4] = ["in_position", "held_share", "unrealised_sigmas", "cost_sigmas"];

/// Names of the actions, in order.
pub const ACTIONS: [&str; 4] = ["skip", "enter", "hold", "exit"];
pub const ENTER: u16 = 1;
pub const EXIT: u16 = 3;

/// Sigmas beyond which a component says no more.
const LIMIT: f64 = 8.0;

/// A position as the policy is told of it. One sigma is that of the bracket's horizon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PositionState {
    /// Share of the hold limit used, 0 to 1, and mark against the entry in sigmas; `None` when flat.
    pub held: Option<(f64, f64)>,
    /// Costs of a round trip in sigmas: whether a trade is worth its costs at all.
    pub cost_sigmas: f64,
}

impl PositionState {
    /// In the order of `POSITION_NAMES`.
    #[must_use]
    pub fn values(&self) -> [f32; 4] {
        let (share, unrealised) = self.held.unwrap_or((0.0, 0.0));
        let inside = if self.held.is_some() { 1.0 } else { 0.0 };
        [inside, share.clamp(0.0, 1.0) as f32, unrealised.clamp(-LIMIT, LIMIT) as f32, self.cost_sigmas.clamp(0.0, LIMIT) as f32]
    }

    /// Flat: skip or enter; in a position: hold or exit.
    #[must_use]
    pub fn mask(&self) -> [bool; 4] {
        let inside = self.held.is_some();
        [!inside, !inside, inside, inside]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_and_held_positions_allow_different_actions() {
        let flat = PositionState { held: None, cost_sigmas: 0.5 };
        assert_eq!(flat.values(), [0.0, 0.0, 0.0, 0.5]);
        assert_eq!(flat.mask(), [true, true, false, false]);
        let held = PositionState { held: Some((1.5, -20.0)), cost_sigmas: 99.0 };
        assert_eq!(held.values(), [1.0, 1.0, -8.0, 8.0]);
        assert_eq!(held.mask(), [false, false, true, true]);
        assert_eq!((ACTIONS[usize::from(ENTER)], ACTIONS[usize::from(EXIT)]), ("enter", "exit"));
    }
}
