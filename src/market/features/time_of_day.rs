//! The hour as a point on a circle: `day_sine` and `day_cosine` of the UTC time of day at the close.

use super::Family;
use super::window::Window;

pub(super) const FAMILY: Family = Family { names: &["day_sine", "day_cosine"], compute };

const DAY_NS: i64 = 86_400_000_000_000;

fn compute(window: &Window, out: &mut Vec<f64>) {
    let passed = window.last().close_time.nanos().rem_euclid(DAY_NS);
    let angle = std::f64::consts::TAU * passed as f64 / DAY_NS as f64;
    out.extend([libm::sin(angle), libm::cos(angle)]);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, value, walk};

    #[test]
    fn six_in_the_morning_is_a_quarter_of_the_circle() {
        let vector = fed(&walk(360, |_| 0.001)).vector().unwrap();
        assert!((value(&vector, "day_sine") - 1.0).abs() < 1e-6);
        assert!(value(&vector, "day_cosine").abs() < 1e-6);
    }
}
