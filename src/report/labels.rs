//! What each figure is, in a few words.

/// One line for a row of the evaluation table.
pub(super) fn what(name: &str) -> String {
    let text = match name {
        "tvd" => "all pair distances h(r): total variation",
        "mae" => "h(r): mean difference of the density, 1/angstrom",
        "w2" => "h(r): Wasserstein-2, angstrom",
        "pair_tvd" => "each pair's distances: total variation, mean",
        "bond_sigma" => "width of the bonds over the reference's (1 is right)",
        "bond_mae_mean" => "mean bond lengths: mean difference, angstrom",
        "bond_mae_sample" => "bonds of a sample from their mean; not 0 for the reference",
        "bond_stability" => "share with every bond within 0.5 angstrom of its mean",
        "stability" => "share with every pair within 0.5 angstrom of its mean",
        "angle_tvd" => "each bond angle: total variation, mean",
        "angle_sigma" => "width of the angles over the reference's (1 is right)",
        "dihedral_tvd" => "each rotatable bond: total variation in 24 bins, mean",
        "energy ks" => "potential energy: Kolmogorov-Smirnov statistic",
        "energy median difference" => "median less the reference's, kcal/mol",
        _ if name.ends_with("_sym") => "the same over the symmetry group",
        _ if name.starts_with("type_tvd") => "h(r) of these elements",
        _ if name.ends_with("trans, reference") => "its share in the reference",
        _ if name.ends_with("trans") => "share with |phi| > 120 degrees",
        _ if name.starts_with("dihedral ") => "this bond alone",
        _ if name.starts_with("energy") => "kcal/mol",
        _ => "",
    };
    text.to_owned()
}
