"""The article's model in Keras on TensorFlow: `fit` on arrays in memory, one time per epoch."""

import os
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from mnist import load, options, report  # noqa: E402


class EpochTimes(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.begin)


def main():
    given = options()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    images, labels = load(given.data)
    x = (images.astype(np.float32) / 255)[..., None]
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, (3, 3), activation="relu"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    times = EpochTimes()
    model.fit(x, labels, batch_size=given.batch_size, epochs=given.epochs, verbose=0, callbacks=[times])
    accuracy = None
    if given.evaluate:
        images, labels = load(given.data, "t10k")
        accuracy = model.evaluate((images.astype(np.float32) / 255)[..., None], labels, verbose=0)[1]
    version = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    report("Keras/TensorFlow fit", version, times.seconds, len(x), accuracy)


main()
