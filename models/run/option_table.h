// The options of a run. Each row becomes a member of RunConfig, a key of config.json, an option of
// `assay train` with its help, and a check of its value. This file is included several times, each
// time with another OPTION, so it has no #pragma once.
//
// OPTION(type, member, default, flag, group, allowed values, help)

OPTION(std::string, data, "", "--data", data, utf8{}, "builtin, or a folder in MVTec's layout")
OPTION(std::string, object_class, "", "--class", data, utf8{}, "the object class to learn")
OPTION(std::string, good, "", "--good", data, utf8{}, "a folder of your own good images")
OPTION(std::string, bad, "", "--bad", data, utf8{}, "a folder of your own defective images")
OPTION(std::string, masks, "", "--masks", data, utf8{}, "masks of the images in --bad")
OPTION(std::string, split_file, "", "--split", data, utf8{},
       "a split.json to use; without it the split is drawn from the seed")
OPTION(int, image_size, 128, "--image-size", data, at_least{1}, "side of the input in pixels")
OPTION(std::string, bit_depth, "16", "--bit-depth", data, depth_of_bits{},
       "auto | 8 to 16: bits used by images with 16 bits per value, of which the upper 8 are kept")
OPTION(bool, grey, false, "--grey", data, anything{}, "one channel instead of three")

OPTION(uint64_t, seed, 0, "--seed", training, anything{},
       "seed of the weights, the order of images, the split and the noise")
OPTION(int, epochs, 200, "--epochs", training, at_least{1}, "maximum number of epochs")
OPTION(int64_t, steps, 0, "--steps", training, at_least{0},
       "maximum number of steps of a training or of each fold (0: no limit)")
OPTION(int, batch, 32, "--batch", training, at_least{1}, "images per step")
OPTION(double, lr, 1e-3, "--lr", training, positive{}, "learning rate")
OPTION(int, patience, 5, "--patience", training, at_least{1},
       "stop after this many epochs without a better validation loss")
OPTION(int64_t, min_steps, 400, "--min-steps", training, at_least{0},
       "no early stopping before this step")
OPTION(bool, keep_last, false, "--keep-last", training, anything{},
       "keep the last weights, not the best")
OPTION(std::string, init, "he", "--init", training, one_of{init_names()},
       fmt::format("{}: initial weights", fmt::join(init_names(), " | ")))
OPTION(std::string, eps_placement, "keras", "--eps-placement", training,
       (one_of{{"keras", "torch"}}), "keras | torch: where Adam and RMSprop add epsilon")
OPTION(std::string, device, "cpu", "--device", training, (one_of{{"cpu", "cuda"}}), "cpu | cuda")
OPTION(std::string, precision, "fp32", "--precision", training, known_precision{},
       "fp32 | fp32-strict | bf16 (on a CPU with AMX); on cuda also tf32x3 | tf32")

OPTION(bool, untrained, false, "--untrained", model, anything{},
       "keep the weights as drawn; density and threshold are fitted as ever")
OPTION(std::string, kde_bandwidth, "loo", "--kde-bandwidth", model, utf8{},
       "a number, scott, silverman, median or loo")
OPTION(std::string, train_noise, "clean", "--train-noise", model, (one_of{{"clean", "noisy"}}),
       "clean | noisy")
OPTION(std::string, test_noise, "clean", "--test-noise", model, (one_of{{"clean", "noisy"}}),
       "clean | noisy")
OPTION(double, noise_variance, kNoiseVariance, "--noise-variance", model, at_least{0},
       "of the Gaussian noise, for values from 0 to 1")
OPTION(double, noise_share, kNoiseShare, "--noise-share", model, share{},
       "of the images that get noise, 0 to 1")
OPTION(bool, denoise, false, "--denoise", model, anything{},
       "the target of a noisy image is the clean one")
OPTION(std::string, score, "ssim", "--score", model, (one_of{{"ssim", "mse"}}),
       "ssim (1 - mean SSIM) | mse")
OPTION(std::string, k, "", "--k", model, (optional_number{}),
       "threshold: so many deviations above the mean of held-out good scores")
OPTION(std::string, threshold, "", "--threshold", model, (optional_number{}),
       "threshold: this score")
OPTION(std::string, target_fpr, "", "--target-fpr", model, (optional_number{0, 1}),
       "threshold: at most this share of good images is called defective, by those held out")
OPTION(int, folds, 5, "--folds", model, at_least{2}, "number of folds of the cross-validation")
OPTION(bool, class_weights, false, "--class-weights", model, anything{},
       "give the rarer class the same total weight as the other")
OPTION(bool, flips, false, "--flips", model, anything{}, "mirror half of the training images")
OPTION(int, shifts, 0, "--shifts", model, at_least{0},
       "shift training images by up to this many pixels")
OPTION(int, k_steps, 1, "--k-steps", model, at_least{1}, "discriminator steps per generator step")
OPTION(int64_t, sample_every, 200, "--sample-every", model, at_least{1},
       "generator steps from one grid of images to the next")
