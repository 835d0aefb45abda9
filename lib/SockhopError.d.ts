import { SockhopError } from '../index';

export = SockhopError;
