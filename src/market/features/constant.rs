//! Columns that say nothing are found and named.

use super::NAMES;

/// The names of the features that never vary over `rows`, or that no row tells.
#[must_use]
pub fn constant_columns<R: AsRef<[f32]>>(rows: &[R]) -> Vec<&'static str> {
    let constant = |column: usize| {
        let mut seen = rows.iter().filter_map(|row| row.as_ref().get(column)).filter(|value| !value.is_nan());
        let first = seen.next();
        first.is_none_or(|first| seen.all(|value| value == first))
    };
    NAMES.iter().enumerate().filter(|(column, _)| constant(*column)).map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fed, walk};
    use super::*;

    #[test]
    fn a_constant_feature_is_reported() {
        let candles = walk(260, |n| if n * n % 7 < 3 { 0.001 } else { -0.0013 });
        let rows: Vec<_> = (200..260).map(|end| fed(&candles[..end]).vector().unwrap().values).collect();
        assert!(constant_columns(&rows).is_empty());
        let dulled: Vec<_> = rows
            .into_iter()
            .map(|mut row| {
                row[2] = 0.25;
                row[4] = f32::NAN;
                row
            })
            .collect();
        assert_eq!(constant_columns(&dulled), [NAMES[2], NAMES[4]]);
    }
}
