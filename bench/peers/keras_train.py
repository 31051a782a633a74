"""Training in Keras on TensorFlow: `fit` on arrays in memory, shuffled, one time per epoch."""

import os
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

from mnist import WARM_UP, load_for, options, report  # noqa: E402



def normalized(filters):
    return [layers.Conv2D(filters, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]


MODELS = {
    "article": lambda: [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ],
    "mlp": lambda: [
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dense(512, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ],
    "keras-example": lambda: [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ],
    "lenet": lambda: [
        layers.Conv2D(6, 5, padding="same", activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Conv2D(16, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(120, activation="tanh"),
        layers.Dense(84, activation="tanh"),
        layers.Dense(10, activation="softmax"),
    ],
    "vgg": lambda: [
        *normalized(32), *normalized(32), layers.MaxPooling2D(2),
        *normalized(64), *normalized(64), layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ],
}  # fmt: skip


class EpochTimes(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.begin)


def main():
    given = options(MODELS)
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    images, labels = load_for(given.model, given.data, given.examples)
    model = keras.Sequential([keras.Input(images.shape[1:]), *MODELS[given.model]()])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:WARM_UP], labels[:WARM_UP], batch_size=given.batch_size, verbose=0)
    times = EpochTimes()
    history = model.fit(images, labels, batch_size=given.batch_size, epochs=given.epochs, verbose=0, callbacks=[times])
    version = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    report("Keras/TensorFlow", version, times.seconds, len(images), history.history["loss"][-1])


main()
