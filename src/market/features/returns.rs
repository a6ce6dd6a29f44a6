//! Log returns over several horizons, in units of the market's volatility over that horizon: a Gaussian walk has variance one in each.

use super::Family;
use super::window::Window;

const HORIZONS: [usize; 6] = [1, 2, 3, 6, 12, 24];

pub(super) const FAMILY: Family = Family { names: &["return_1", "return_2", "return_3", "return_6", "return_12", "return_24"], compute };

fn compute(window: &Window, out: &mut Vec<f64>) {
    out.extend(HORIZONS.iter().map(|bars| window.move_in_sigmas(*bars)));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, value, walk};

    #[test]
    fn on_a_steady_climb_a_return_of_k_bars_is_root_k_volatilities() {
        let vector = fed(&walk(200, |_| 0.001)).vector().unwrap();
        for (name, expected) in [("return_1", 1.0), ("return_6", 6.0_f32.sqrt()), ("return_24", 24.0_f32.sqrt())] {
            assert!((value(&vector, name) - expected).abs() < 1e-3, "{name}");
        }
    }
}
