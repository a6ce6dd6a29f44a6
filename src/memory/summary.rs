//! What the neighbours say together.

use super::Neighbour;

/// The neighbours' outcomes, weighted by similarity; opposite situations (similarity below zero) weigh nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Weighted mean of the net outcomes, bps.
    pub net_bps: f64,
    /// Weighted share of the outcomes above zero, 0 to 1.
    pub win_share: f64,
    /// Kish's effective number of neighbours: (sum of weights)^2 / sum of squared weights.
    pub effective_n: f64,
}

impl Summary {
    /// `None` when no neighbour weighs anything.
    #[must_use]
    pub fn of(neighbours: &[Neighbour]) -> Option<Self> {
        let weighed = || neighbours.iter().map(|n| (f64::from(n.similarity).max(0.0), n.net_bps)).filter(|(_, net)| net.is_finite());
        let total: f64 = weighed().map(|(weight, _)| weight).sum();
        if total <= 0.0 {
            return None;
        }
        let squares: f64 = weighed().map(|(weight, _)| weight * weight).sum();
        let won: f64 = weighed().filter(|(_, net)| *net > 0.0).map(|(weight, _)| weight).sum();
        let net: f64 = weighed().map(|(weight, net)| weight * net).sum();
        Some(Self { net_bps: net / total, win_share: won / total, effective_n: total * total / squares })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Origin;

    fn neighbour(similarity: f32, net_bps: f64) -> Neighbour {
        Neighbour { number: 0, symbol: "BTCUSDT".parse().unwrap(), origin: Origin::Real, similarity, net_bps }
    }

    #[test]
    fn outcomes_are_weighted_by_similarity() {
        let summary = Summary::of(&[neighbour(1.0, 10.0), neighbour(0.5, -8.0), neighbour(-0.9, 500.0)]).unwrap();
        assert!((summary.net_bps - 4.0).abs() < 1e-9);
        assert!((summary.win_share - 2.0 / 3.0).abs() < 1e-9);
        assert!((summary.effective_n - 1.8).abs() < 1e-9);
    }

    #[test]
    fn no_like_neighbour_no_summary() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[neighbour(-0.2, 3.0), neighbour(0.0, 3.0)]), None);
        assert_eq!(Summary::of(&[neighbour(0.9, f64::NAN)]), None);
    }
}
