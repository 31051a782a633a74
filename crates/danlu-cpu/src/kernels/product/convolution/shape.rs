//! The shape of a convolution.

/// A two-dimensional convolution: images `[batch, height, width, channels]`, weights
/// `[kernel[0], kernel[1], channels / groups, filters]`, result `[batch, output height, output width, filters]`.
///
/// Pairs are (height, width). As in Keras and every other library, the kernel is not flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution2dShape {
    /// Images.
    pub batch: usize,
    /// Rows of pixels of an image.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Channels of a pixel.
    pub channels: usize,
    /// Channels of a pixel of the result.
    pub filters: usize,
    /// Extent of the kernel, in taps.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next.
    pub stride: [usize; 2],
    /// Pixels from one tap to the next.
    pub dilation: [usize; 2],
    /// Zeros before and after, for height and for width.
    pub padding: [[usize; 2]; 2],
    /// Groups of channels that are convolved apart.
    pub groups: usize,
}

/// Why a convolution's shape is impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Something that must be at least 1 is 0.
    #[error("a convolution's {0} must be at least 1, but it is 0")]
    Zero(&'static str),
    /// Groups do not divide the channels or the filters.
    #[error(
        "a convolution's {what} must be divisible by its {groups} groups, but there are {count}"
    )]
    Groups {
        /// `channels` or `filters`.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The number of groups.
        groups: usize,
    },
}

impl Convolution2dShape {
    /// Checks what the plans rely on. Empty images, batches and channels are fine.
    ///
    /// # Errors
    /// If an extent of the kernel, a stride, a dilation or `groups` is 0, or `groups` divides not both channels and filters.
    pub fn validate(&self) -> Result<(), ShapeError> {
        for (name, value) in [
            ("kernel", self.kernel),
            ("stride", self.stride),
            ("dilation", self.dilation),
            ("groups", [self.groups; 2]),
        ] {
            if value.contains(&0) {
                return Err(ShapeError::Zero(name));
            }
        }
        for (what, count) in [("channels", self.channels), ("filters", self.filters)] {
            if !count.is_multiple_of(self.groups) {
                let groups = self.groups;
                return Err(ShapeError::Groups {
                    what,
                    count,
                    groups,
                });
            }
        }
        Ok(())
    }

    /// Height and width of the result; 0 where the kernel does not fit into the padded image.
    pub fn output_size(&self) -> [usize; 2] {
        let image = [self.height, self.width];
        std::array::from_fn(|axis| {
            let padded = image[axis] + self.padding[axis][0] + self.padding[axis][1];
            let extent = (self.kernel[axis].max(1) - 1) * self.dilation[axis] + 1;
            match padded.checked_sub(extent) {
                Some(room) => room / self.stride[axis].max(1) + 1,
                None => 0,
            }
        })
    }

    /// Channels of one group.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups.max(1)
    }

    /// Filters of one group.
    pub fn group_filters(&self) -> usize {
        self.filters / self.groups.max(1)
    }

    /// Whether each channel is convolved on its own into one filter: then channels, not filters, fill the vectors.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.channels == self.groups && self.filters == self.groups
    }

    /// Taps of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Multiplications and additions of the convolution, and of each of its gradients (zeros in the padding counted).
    pub fn flops(&self) -> usize {
        let [height, width] = self.output_size();
        2 * self.batch * height * width * self.filters * self.taps() * self.group_channels()
    }
}
