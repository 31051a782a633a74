//! The elementwise functions, as names: what they mean stands in [`elementwise`](mod@super::elementwise), how fast they
//! run is a device's business.

macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            /// Every kind, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name in dumps and error messages.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

/// 2^-100, about 8e-31: what averages that decay fall below becomes 0 ([`UnaryKind::FlushTiny`]). Far above the smallest normal f32
/// (2^-126), so that its products with rates are no subnormal numbers either, with which many machines compute a hundred times slower.
pub const TINY: f32 = f32::from_bits(27 << 23);

kinds! {
    /// A function of one element.
    UnaryKind {
        /// `-x`
        Negate = "negate",
        /// `|x|`
        Abs = "abs",
        /// -1, 0 or 1 (0 for 0, NaN for NaN)
        Sign = "sign",
        /// `e^x`
        Exp = "exp",
        /// `e^x - 1`, exact near 0
        Expm1 = "expm1",
        /// natural logarithm
        Log = "log",
        /// `ln(1 + x)`, exact near 0
        Log1p = "log1p",
        /// square root
        Sqrt = "sqrt",
        /// `x * x`
        Square = "square",
        /// `1 / x`
        Reciprocal = "reciprocal",
        /// hyperbolic tangent
        Tanh = "tanh",
        /// `1 / (1 + e^-x)`
        Sigmoid = "sigmoid",
        /// `max(x, 0)`, NaN for NaN
        Relu = "relu",
        /// sine, radians
        Sin = "sin",
        /// cosine, radians
        Cos = "cos",
        /// the error function
        Erf = "erf",
        /// largest integer not above
        Floor = "floor",
        /// smallest integer not below
        Ceil = "ceil",
        /// nearest integer, ties to even
        Round = "round",
        /// `x`, but 0 where `|x|` is below [`TINY`]; NaN for NaN
        FlushTiny = "flush_tiny",
        /// logical not, of truth values
        Not = "not",
        /// whether neither infinite nor NaN: a truth value
        IsFinite = "is_finite",
    }
}

kinds! {
    /// A function of two elements of the same dtype.
    BinaryKind {
        /// `a + b`
        Add = "add",
        /// `a - b`
        Subtract = "subtract",
        /// `a * b`
        Multiply = "multiply",
        /// `a / b`; of integers: rounded towards zero, 0 where b is 0
        Divide = "divide",
        /// `a ^ b`
        Power = "power",
        /// the larger, NaN if either is
        Maximum = "maximum",
        /// the smaller, NaN if either is
        Minimum = "minimum",
        /// logical and, of truth values
        And = "and",
        /// logical or, of truth values
        Or = "or",
    }
}

kinds! {
    /// A comparison of two elements of the same dtype; the result is a truth value.
    CompareKind {
        /// `a == b`
        Equal = "equal",
        /// `a != b`
        NotEqual = "not_equal",
        /// `a < b`
        Less = "less",
        /// `a <= b`
        LessEqual = "less_equal",
        /// `a > b`
        Greater = "greater",
        /// `a >= b`
        GreaterEqual = "greater_equal",
    }
}

kinds! {
    /// How a reduction combines the elements of its axes.
    ReduceKind {
        /// their sum
        Sum = "sum",
        /// their mean
        Mean = "mean",
        /// the largest, NaN if any is
        Max = "max",
        /// the smallest, NaN if any is
        Min = "min",
        /// the logarithm of the sum of their exponentials, computed from the largest
        LogSumExp = "logsumexp",
    }
}
