//! Arithmetic rounded outwards, and exact where `f64` holds the result.

/// `left * right`.
pub(crate) fn product_up(left: f64, right: f64) -> f64 {
    let product = left * right;
    // Where the product is tiny, its error need not be a number; rounding up once more does no harm.
    let tiny = product.abs() < 1e-290 && left != 0.0 && right != 0.0;
    if tiny || left.mul_add(right, -product) > 0.0 {
        product.next_up()
    } else {
        product
    }
}

/// `left - right`.
pub(crate) fn difference_up(left: f64, right: f64) -> f64 {
    let difference = left - right;
    // The error of a sum of two numbers is a number (Knuth, TAOCP 2, section 4.2.2, theorem B).
    let back = difference - left;
    let error = (left - (difference - back)) - (right + back);
    if error > 0.0 {
        difference.next_up()
    } else {
        difference
    }
}

/// `left / right` rounded up; `right` is positive and no operand is tiny.
pub(crate) fn quotient_up(left: f64, right: f64) -> f64 {
    let quotient = left / right;
    if quotient.mul_add(right, -left) < 0.0 {
        quotient.next_up()
    } else {
        quotient
    }
}

/// `left / right` rounded down; `right` is positive and no operand is tiny.
pub(crate) fn quotient_down(left: f64, right: f64) -> f64 {
    let quotient = left / right;
    if quotient.mul_add(right, -left) > 0.0 {
        quotient.next_down()
    } else {
        quotient
    }
}

/// Square root of a number that is not negative.
pub(crate) fn root_up(square: f64) -> f64 {
    let root = square.sqrt();
    if root.mul_add(root, -square) < 0.0 || (square > 0.0 && square < 1e-290) {
        root.next_up()
    } else {
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_results_stay_and_others_go_up() {
        assert_eq!(product_up(3.0, 7.0), 21.0);
        assert_eq!(difference_up(2.0, -1.0), 3.0);
        assert_eq!(root_up(9.0), 3.0);
        assert_eq!(product_up(0.0, 0.1), 0.0);
        // 0.1 * 3 rounds up by itself, 0.1 * 11 down.
        assert_eq!(product_up(0.1, 3.0), 0.1 * 3.0);
        assert!(root_up(2.0).mul_add(root_up(2.0), -2.0) > 0.0);
        assert_eq!(difference_up(1.0, -1e-30), 1.0f64.next_up());
        assert_eq!(difference_up(1.0, 1e-30), 1.0);
        assert!(product_up(1e-200, 1e-200) > 0.0);
        assert_eq!((quotient_up(1.0, 0.5), quotient_down(1.0, 0.5)), (2.0, 2.0));
        for (left, right) in [(1.0, 3.0), (2.0, 3.0), (5.0, 7.0), (1.0, 49.0)] {
            assert!(quotient_up(left, right).mul_add(right, -left) > 0.0);
            assert!(quotient_down(left, right).mul_add(right, -left) < 0.0);
        }
    }
}
