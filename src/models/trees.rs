//! Boosted regression trees: grown by `forust-ml`, kept and walked in our own flat form.
//!
//! The forecast of a row is `base + Σ leaf(tree, row)`, summed in the order of the trees, in bps of net edge when the labels are.
//! The library compares `f64::from(value) < split`; a split is stored as the smallest `f32` not below it, which decides every `f32`
//! value the same way, so nothing is lost by the narrower form.

use std::collections::BTreeSet;

use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;
use forust_ml::tree::Tree;
use forust_ml::{GradientBooster, Matrix};
use serde::{Deserialize, Serialize};

use super::error::{ModelError, consistent, same_length, setting};

/// Fewer rows than this are refused.
const MIN_ROWS: usize = 20;
/// The `feature` of a leaf.
const LEAF: u16 = u16::MAX;
/// Trees that are walked side by side.
const LANES: usize = 8;
/// Levels between two looks at whether all have arrived.
const STRIDE: usize = 4;

/// How trees are grown. The defaults suit labels that are nearly noise: small steps, shallow trees, large leaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TreesConfig {
    /// Number of trees.
    pub iterations: usize,
    pub learning_rate: f32,
    pub max_depth: usize,
    pub max_leaves: usize,
    /// Least sum of row weights in a leaf; weights are scaled to mean 1, so this counts rows.
    pub min_leaf_weight: f32,
    pub l2: f32,
    /// Share of rows and of features that each tree sees, in (0, 1].
    pub subsample: f32,
    pub feature_share: f64,
    /// Histogram bins per feature.
    pub nbins: u16,
    pub seed: u64,
}

impl Default for TreesConfig {
    fn default() -> Self {
        Self {
            iterations: 150,
            learning_rate: 0.05,
            max_depth: 4,
            max_leaves: 16,
            min_leaf_weight: 100.0,
            l2: 10.0,
            subsample: 0.8,
            feature_share: 0.8,
            nbins: 128,
            seed: 1,
        }
    }
}

/// A node of the flat form; children lie side by side, `left` and `left + 1`, behind their parent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Node {
    /// `LEAF`, or the feature that is compared.
    feature: u16,
    missing_left: bool,
    /// Values below go left.
    split: f32,
    /// The left child; in a leaf the leaf itself, where every walk stays.
    left: u32,
    /// What the tree would answer if it ended here; in a leaf, its answer.
    value: f32,
}

/// Trained trees over named features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    features: Vec<String>,
    base: f64,
    roots: Vec<u32>,
    nodes: Vec<Node>,
    /// Total gain of the splits on each feature.
    gains: Vec<f64>,
}

/// A forecast taken apart: `bias + Σ by_feature` is the prediction (up to rounding).
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    /// What the model answers before it has seen anything, in label units.
    pub bias: f64,
    /// How far each feature moved the forecast, in the order of `Trees::features`, in label units.
    pub by_feature: Vec<f64>,
}

impl Trees {
    /// Grows trees on `rows` (row-major, `labels.len()` × `names.len()`, NaN = missing) by squared error.
    ///
    /// `labels` are in the unit that is forecast (bps of net edge), winsorised by the caller; `weights` (≥ 0) default to 1.
    ///
    /// # Errors
    /// Wrong lengths, settings out of range, fewer than 20 rows, infinite features, labels or weights that are not finite, names used twice.
    pub fn fit(rows: &[f32], labels: &[f64], weights: Option<&[f64]>, names: &[String], config: &TreesConfig) -> Result<Self, ModelError> {
        config.check()?;
        check_names(names)?;
        let weights = check_rows(rows, labels, weights, names.len())?;
        let columns = column_major(rows, labels.len(), names.len());
        let mut booster = config.booster();
        booster.fit(&Matrix::new(&columns, labels.len(), names.len()), labels, &weights, None).map_err(ModelError::Trees)?;
        let trees = Self::from_booster(&booster, names);
        trees.check().map_err(|_| ModelError::Setting { name: "labels", rule: "small enough for single precision" })?;
        Ok(trees)
    }

    fn from_booster(booster: &GradientBooster, names: &[String]) -> Self {
        let mut trees = Self {
            features: names.to_vec(),
            base: booster.base_score,
            roots: Vec::new(),
            nodes: Vec::new(),
            gains: vec![0.0; names.len()],
        };
        for tree in &booster.trees {
            trees.append(tree);
        }
        trees
    }

    fn append(&mut self, tree: &Tree) {
        let root = self.nodes.len();
        self.roots.push(root as u32);
        self.nodes.push(Node::leaf(root, 0.0));
        // (index in the library's tree, index in ours), breadth first.
        let mut open = vec![(0, root)];
        let mut next = 0;
        while let Some(&(theirs, ours)) = open.get(next) {
            next += 1;
            let node = &tree.nodes[theirs];
            if node.is_leaf {
                self.nodes[ours] = Node::leaf(ours, node.weight_value);
                continue;
            }
            let left = self.nodes.len();
            self.nodes.extend([Node::leaf(left, 0.0), Node::leaf(left + 1, 0.0)]);
            self.nodes[ours] = Node {
                feature: node.split_feature as u16,
                missing_left: node.missing_node == node.left_child,
                split: smallest_f32_not_below(node.split_value),
                left: left as u32,
                value: node.weight_value,
            };
            self.gains[node.split_feature] += f64::from(node.split_gain);
            open.extend([(node.left_child, left), (node.right_child, left + 1)]);
        }
    }

    /// The forecast for one row of `features().len()` values, in label units. NaN is missing, and so is what a short row lacks.
    #[must_use]
    pub fn predict(&self, row: &[f32]) -> f64 {
        // A longer row must not offer a value to `LEAF`.
        let row = &row[..row.len().min(self.features.len())];
        let mut sum = self.base;
        for roots in self.roots.chunks(LANES) {
            for leaf in self.leaves(roots, row).iter().take(roots.len()) {
                sum += f64::from(self.nodes[*leaf].value);
            }
        }
        sum
    }

    /// Forecasts for row-major rows; a last, incomplete row is not forecast.
    #[must_use]
    pub fn predict_batch(&self, rows: &[f32]) -> Vec<f64> {
        rows.chunks_exact(self.features.len().max(1)).map(|row| self.predict(row)).collect()
    }

    /// The leaves that the row reaches from up to `LANES` roots, walked side by side: the steps of one tree wait for each other,
    /// those of several trees do not.
    fn leaves(&self, roots: &[u32], row: &[f32]) -> [usize; LANES] {
        let mut at = [roots[0] as usize; LANES];
        at.iter_mut().zip(roots).for_each(|(lane, &root)| *lane = root as usize);
        while at.iter().any(|&lane| self.nodes[lane].feature != LEAF) {
            for _ in 0..STRIDE {
                at.iter_mut().for_each(|lane| *lane = self.nodes[*lane].child(row));
            }
        }
        at
    }

    /// Which features moved the forecast of this row, by the change of node value at each split on its path
    /// (Saabas, "Interpreting random forests", 2014).
    #[must_use]
    pub fn contributions(&self, row: &[f32]) -> Contributions {
        let mut bias = self.base;
        let mut by_feature = vec![0.0; self.features.len()];
        for &root in &self.roots {
            let mut node = &self.nodes[root as usize];
            bias += f64::from(node.value);
            while node.feature != LEAF {
                let child = &self.nodes[node.child(row)];
                by_feature[usize::from(node.feature)] += f64::from(child.value) - f64::from(node.value);
                node = child;
            }
        }
        Contributions { bias, by_feature }
    }

    /// Features by their share of the total gain, largest first (ties by name); shares sum to 1 unless no tree has a split.
    #[must_use]
    pub fn importance(&self) -> Vec<(String, f64)> {
        let total: f64 = self.gains.iter().sum();
        let share = |gain: f64| if total > 0.0 { gain / total } else { 0.0 };
        let mut shares: Vec<_> = self.features.iter().cloned().zip(self.gains.iter().map(|&g| share(g))).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        shares
    }

    /// Names of the features, in the order of a row.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.features
    }

    #[must_use]
    pub fn tree_count(&self) -> usize {
        self.roots.len()
    }

    /// Checks everything that `predict` relies on; for trees that were read from storage.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        check_names(&self.features)?;
        consistent(self.base.is_finite(), "base forecast")?;
        consistent(self.gains.len() == self.features.len() && self.gains.iter().all(|g| g.is_finite()), "gains")?;
        consistent(self.roots.iter().all(|&root| (root as usize) < self.nodes.len()), "tree roots")?;
        for (index, node) in self.nodes.iter().enumerate() {
            consistent(node.value.is_finite(), "node values")?;
            let left = node.left as usize;
            if node.feature == LEAF {
                consistent(left == index && node.missing_left, "leaves")?;
            } else {
                consistent(usize::from(node.feature) < self.features.len(), "feature indexes")?;
                consistent(!node.split.is_nan(), "split values")?;
                // Children behind their parent: every walk ends.
                consistent(left > index && left.checked_add(1).is_some_and(|right| right < self.nodes.len()), "node indexes")?;
            }
        }
        Ok(())
    }
}

impl Node {
    /// No row has a feature `LEAF`: it is missing, and missing goes left, which is here.
    const fn leaf(at: usize, value: f32) -> Self {
        Self { feature: LEAF, missing_left: true, split: 0.0, left: at as u32, value }
    }

    /// Without branches: a wrong guess costs more than the comparison.
    fn child(&self, row: &[f32]) -> usize {
        let value = row.get(usize::from(self.feature)).copied().unwrap_or(f32::NAN);
        let right = (value >= self.split) | (value.is_nan() & !self.missing_left);
        self.left as usize + usize::from(right)
    }
}

impl TreesConfig {
    fn check(&self) -> Result<(), ModelError> {
        let share = |x: f64| x > 0.0 && x <= 1.0;
        setting((1..=10_000).contains(&self.iterations), "iterations", "1 to 10000")?;
        setting(self.learning_rate > 0.0 && self.learning_rate <= 1.0, "learning_rate", "above 0, at most 1")?;
        setting((1..=16).contains(&self.max_depth), "max_depth", "1 to 16")?;
        setting((2..=65_536).contains(&self.max_leaves), "max_leaves", "2 to 65536")?;
        setting(self.min_leaf_weight.is_finite() && self.min_leaf_weight >= 0.0, "min_leaf_weight", "0 or more")?;
        setting(self.l2.is_finite() && self.l2 >= 0.0, "l2", "0 or more")?;
        setting(share(f64::from(self.subsample)), "subsample", "above 0, at most 1")?;
        setting(share(self.feature_share), "feature_share", "above 0, at most 1")?;
        setting((2..=4096).contains(&self.nbins), "nbins", "2 to 4096")
    }

    fn booster(&self) -> GradientBooster {
        let sampling = if self.subsample < 1.0 { SampleMethod::Random } else { SampleMethod::None };
        GradientBooster::default()
            .set_objective_type(ObjectiveType::SquaredLoss)
            .set_iterations(self.iterations)
            .set_learning_rate(self.learning_rate)
            .set_max_depth(self.max_depth)
            .set_max_leaves(self.max_leaves)
            .set_min_leaf_weight(self.min_leaf_weight)
            .set_l2(self.l2)
            .set_sample_method(sampling)
            .set_subsample(self.subsample)
            .set_colsample_bytree(self.feature_share)
            .set_nbins(self.nbins)
            .set_seed(self.seed)
            .set_missing(f64::NAN)
            .set_initialize_base_score(true)
            .set_parallel(false)
    }
}

fn check_names(names: &[String]) -> Result<(), ModelError> {
    setting((1..usize::from(LEAF)).contains(&names.len()), "features", "1 to 65534 of them")?;
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(ModelError::DuplicateName(name.clone())),
        None => Ok(()),
    }
}

/// Checks the training set and gives the weights, scaled to mean 1.
fn check_rows(rows: &[f32], labels: &[f64], weights: Option<&[f64]>, features: usize) -> Result<Vec<f64>, ModelError> {
    if labels.len() < MIN_ROWS {
        return Err(ModelError::TooFewRows { have: labels.len(), need: MIN_ROWS });
    }
    same_length("feature values", labels.len() * features, rows.len())?;
    if let Some(at) = rows.iter().position(|v| v.is_infinite()) {
        return Err(ModelError::NotFinite { what: "feature value", row: at / features });
    }
    if let Some(row) = labels.iter().position(|v| !v.is_finite()) {
        return Err(ModelError::NotFinite { what: "label", row });
    }
    let Some(weights) = weights else { return Ok(vec![1.0; labels.len()]) };
    same_length("weights", labels.len(), weights.len())?;
    if let Some(row) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
        return Err(ModelError::NotFinite { what: "weight", row });
    }
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    setting(mean > 0.0, "weights", "not all zero")?;
    Ok(weights.iter().map(|w| w / mean).collect())
}

fn column_major(rows: &[f32], count: usize, features: usize) -> Vec<f64> {
    (0..features).flat_map(|f| (0..count).map(move |r| f64::from(rows[r * features + f]))).collect()
}

/// `v < split` in `f64` is `v < this` in `f32`, for every `f32` v.
fn smallest_f32_not_below(split: f64) -> f32 {
    let near = split as f32;
    if f64::from(near) < split { near.next_up() } else { near }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("f{i}")).collect()
    }

    fn uniform(rng: &mut ChaCha8Rng) -> f64 {
        f64::from(rng.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0
    }

    /// Rows with one value in ten missing; the label depends on features 0 and 1.
    fn data(count: usize, features: usize, seed: u64) -> (Vec<f32>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rows = Vec::new();
        let mut labels = Vec::new();
        for _ in 0..count {
            let row: Vec<f32> = (0..features).map(|_| if rng.next_u32() % 10 == 0 { f32::NAN } else { uniform(&mut rng) as f32 }).collect();
            let seen = |i: usize| if row[i].is_nan() { 0.3 } else { f64::from(row[i]) };
            labels.push(20.0 * seen(0) - if seen(1) > 0.2 { 10.0 } else { 0.0 } + 5.0 * uniform(&mut rng));
            rows.extend(row);
        }
        (rows, labels)
    }

    fn small() -> TreesConfig {
        TreesConfig { iterations: 40, min_leaf_weight: 5.0, ..TreesConfig::default() }
    }

    #[test]
    fn our_prediction_equals_the_librarys_on_random_rows() {
        let (rows, labels) = data(2_000, 6, 1);
        for config in [small(), TreesConfig { subsample: 1.0, feature_share: 1.0, max_depth: 7, max_leaves: 64, nbins: 33, ..small() }] {
            let mut booster = config.booster();
            booster.fit(&Matrix::new(&column_major(&rows, 2_000, 6), 2_000, 6), &labels, &[1.0; 2_000], None).unwrap();
            let trees = Trees::fit(&rows, &labels, None, &names(6), &config).unwrap();
            let (mut asked, _) = data(1_500, 6, 2);
            // Values exactly on the splits, and values outside of the training range.
            let splits: Vec<f32> = trees.nodes.iter().filter(|n| n.feature != LEAF).map(|n| n.split).collect();
            asked.extend(splits.iter().cycle().take(600));
            asked.extend([f32::NAN, f32::NAN, f32::NAN, f32::NAN, f32::NAN, f32::NAN]);
            asked.extend([f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-40, -0.0]);
            let count = asked.len() / 6;
            let theirs = booster.predict(&Matrix::new(&column_major(&asked, count, 6), count, 6), false);
            assert_eq!(trees.predict_batch(&asked), theirs);
        }
    }

    #[test]
    fn the_same_input_twice_gives_identical_bytes() {
        let (rows, labels) = data(1_000, 5, 3);
        let bytes = |seed| {
            let trees = Trees::fit(&rows, &labels, None, &names(5), &TreesConfig { seed, ..small() }).unwrap();
            bincode::serde::encode_to_vec(&trees, bincode::config::standard()).unwrap()
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }

    #[test]
    fn the_features_that_matter_are_found_and_shares_sum_to_one() {
        let (rows, labels) = data(3_000, 6, 4);
        let trees = Trees::fit(&rows, &labels, None, &names(6), &small()).unwrap();
        let importance = trees.importance();
        assert_eq!(importance[0].0, "f0");
        assert_eq!(importance[1].0, "f1");
        assert!((importance.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-12);
        let (unseen, truth) = data(1_000, 6, 5);
        let predicted = trees.predict_batch(&unseen);
        let mean = truth.iter().sum::<f64>() / 1_000.0;
        let error: f64 = predicted.iter().zip(&truth).map(|(p, t)| (p - t).powi(2)).sum();
        let spread: f64 = truth.iter().map(|t| (t - mean).powi(2)).sum();
        assert!(error < 0.35 * spread, "explains less than 65 %: {error} of {spread}");
    }

    #[test]
    fn contributions_sum_to_the_prediction() {
        let (rows, labels) = data(1_000, 5, 6);
        let trees = Trees::fit(&rows, &labels, None, &names(5), &small()).unwrap();
        for row in rows.chunks_exact(5).take(100) {
            let parts = trees.contributions(row);
            let sum = parts.bias + parts.by_feature.iter().sum::<f64>();
            assert!((sum - trees.predict(row)).abs() < 1e-4);
        }
        let strong = trees.contributions(&[0.9, -0.9, 0.0, 0.0, 0.0]);
        assert!(strong.by_feature[0] > 1.0 && strong.by_feature[0] > strong.by_feature[2].abs());
    }

    #[test]
    fn weights_move_the_fit_and_their_scale_does_not() {
        let (rows, _) = data(400, 2, 7);
        let labels: Vec<f64> = (0..400).map(|i| if i % 2 == 0 { 10.0 } else { -10.0 }).collect();
        let evens: Vec<f64> = (0..400).map(|i| if i % 2 == 0 { 3.0 } else { 0.0 }).collect();
        let fit = |weights: &[f64]| Trees::fit(&rows, &labels, Some(weights), &names(2), &small()).unwrap();
        assert!((fit(&evens).predict(&rows[..2]) - 10.0).abs() < 1e-6);
        assert_eq!(fit(&[1.0; 400]), fit(&[4.0; 400]));
    }

    #[test]
    fn rows_of_another_length_are_read_as_far_as_they_fit() {
        let (rows, labels) = data(500, 4, 9);
        let trees = Trees::fit(&rows, &labels, None, &names(4), &small()).unwrap();
        let mut long = rows[..4].to_vec();
        long.resize(70_000, 1.0);
        assert_eq!(trees.predict(&long), trees.predict(&rows[..4]));
        assert_eq!(trees.predict(&[0.5]), trees.predict(&[0.5, f32::NAN, f32::NAN, f32::NAN]));
    }

    #[test]
    fn constant_and_entirely_missing_features_are_harmless() {
        let rows: Vec<f32> = (0..200).flat_map(|i| [i as f32, 1.0, f32::NAN]).collect();
        let labels: Vec<f64> = (0..200).map(|i| if i < 100 { -5.0 } else { 5.0 }).collect();
        let trees = Trees::fit(&rows, &labels, None, &names(3), &small()).unwrap();
        assert!(trees.predict(&[10.0, 1.0, f32::NAN]) < -2.0);
        assert!(trees.predict(&[190.0, 1.0, f32::NAN]) > 2.0);
        let flat = Trees::fit(&rows, &[7.0; 200], None, &names(3), &small()).unwrap();
        assert!((flat.predict(&[0.0, 0.0, 0.0]) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn unusable_training_sets_are_refused() {
        let (rows, labels) = data(100, 2, 8);
        let fit = |rows: &[f32], labels: &[f64], names: &[String]| Trees::fit(rows, labels, None, names, &small());
        assert!(matches!(fit(&rows[..10], &labels[..5], &names(2)), Err(ModelError::TooFewRows { have: 5, .. })));
        assert!(matches!(fit(&rows[1..], &labels, &names(2)), Err(ModelError::Shape { expected: 200, found: 199, .. })));
        assert!(matches!(fit(&rows, &labels, &["a".into(), "a".into()]), Err(ModelError::DuplicateName(_))));
        let mut broken = labels.clone();
        broken[7] = f64::NAN;
        assert!(matches!(fit(&rows, &broken, &names(2)), Err(ModelError::NotFinite { row: 7, .. })));
        let mut infinite = rows.clone();
        infinite[9] = f32::INFINITY;
        assert!(matches!(fit(&infinite, &labels, &names(2)), Err(ModelError::NotFinite { row: 4, .. })));
        assert!(matches!(fit(&rows, &[1e300; 100], &names(2)), Err(ModelError::Setting { name: "labels", .. })));
        let config = TreesConfig { subsample: 0.0, ..small() };
        assert!(matches!(Trees::fit(&rows, &labels, None, &names(2), &config), Err(ModelError::Setting { name: "subsample", .. })));
    }

    proptest! {
        #[test]
        fn a_narrowed_split_decides_every_value_as_the_wide_one(value: f32, split in any::<f64>().prop_filter("number", |s| !s.is_nan())) {
            prop_assert_eq!(f64::from(value) < split, value < smallest_f32_not_below(split));
            let near = value.next_up();
            prop_assert_eq!(f64::from(near) < f64::from(value) + 1e-30, near < smallest_f32_not_below(f64::from(value) + 1e-30));
        }
    }
}
