'use strict';

/**
 * The version of this package. `npm run release` writes it; bundlers cannot always load
 * package.json.
 */
exports.VERSION = '0.1.0';
